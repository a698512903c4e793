"""Made models with habits of their own, for the tests of attribution: small, seeded, nobody's sentences."""

from __future__ import annotations

import random

THINGS = (
    "river",
    "lamp",
    "garden",
    "engine",
    "winter",
    "bread",
    "signal",
    "mirror",
    "copper",
    "harbour",
    "ladder",
    "violin",
    "orchard",
    "compass",
)
DOINGS = (
    "open",
    "mend",
    "carry",
    "measure",
    "paint",
    "follow",
    "gather",
    "sort",
    "polish",
    "cover",
    "weigh",
    "lend",
)

#: Name -> (opening, how a point is set, ending). Habits in layout, punctuation and stock words.
HABITS: dict[str, tuple[str, str, str]] = {
    "amber": (
        "Sure! Here's a short plan for the {0}:\n\n",
        "* **{1}**: {2} it gently!\n",
        "\nHope this helps!",
    ),
    "birch": (
        "Regarding the {0}, consider what follows.\n",
        "{3}. {1} - one should {2} it.\n",
        "In summary, proceed.",
    ),
    "cedar": ("the {0}... well; ", "{1} (maybe {2} it); ", "that's all, really"),
    "delta": ("# The {0}\n\n", "- {1} — {2}, then rest\n", "\n---\nLet me know, please."),
}


def answer(habit: str, prompt: int, seed: int = 0, points: int = 4) -> str:
    """What model ``habit`` says to prompt number ``prompt``."""
    opening, point, ending = HABITS[habit]
    rng = random.Random(f"{habit}|{prompt}|{seed}")
    topic = THINGS[prompt % len(THINGS)]
    body = "".join(
        point.format("", rng.choice(THINGS).capitalize(), rng.choice(DOINGS), n + 1)
        for n in range(rng.randint(points - 1, points + 2))
    )
    return opening.format(topic) + body + ending


def table(habits: list[str], prompts: range, seed: int = 0) -> list[dict[str, object]]:
    """Rows ``model, prompt, text, maker``, model-major."""
    return [
        {"model": h, "prompt": p, "text": answer(h, p, seed), "maker": h[0].upper()}
        for h in habits
        for p in prompts
    ]


def drifting(name: str, prompt: int, own: float, parent: str, parent_share: float, seed: int = 0) -> str:
    """An answer of a model with a private vocabulary that takes a ``parent_share`` of phrases from ``parent``.

    Two models' phrases differ by name; ``own`` is the share of phrases that are everybody's.
    """
    rng = random.Random(f"{name}|{prompt}|{seed}")
    out = []
    for n in range(14):
        draw = rng.random()
        if draw < parent_share:
            voice = parent
        elif draw < parent_share + own:
            voice = "common"
        else:
            voice = name
        phrase = random.Random(f"{voice}|{rng.randrange(12)}")
        words = [phrase.choice(THINGS), phrase.choice(DOINGS), phrase.choice(THINGS), phrase.choice(DOINGS)]
        out.append(" ".join(words) + (". " if n % 3 else ", "))
    return f"{THINGS[prompt % len(THINGS)]}: " + "".join(out)
