"""What people write: makers of prompts and system prompts, one for each kind of use."""

from __future__ import annotations

from functools import partial

import numpy as np

from detector.lab.worlds.grammar import Grammar, Texts, fill
from detector.lab.worlds.network import COUNTRIES
from detector.lab.worlds.persona import Floats, Ints, People, Rng
from detector.lab.worlds.town import TextMaker, Town

_LANGUAGES = np.array([c[3] for c in COUNTRIES])
#: Domains of bare questions. Students, evaluators and harvest lists ask them.
DOMAINS = (
    "maths",
    "science",
    "cs",
    "code",
    "data",
    "law",
    "medicine",
    "history",
    "life",
    "writing",
    "business",
)


def none(n: int) -> Texts:
    """``n`` NULL texts."""
    return np.full(n, None, dtype=object)


def styled(rng: Rng, texts: Texts, style: Ints) -> Texts:
    """The texts in the style of their writers: 1 lower case, 2 no final mark, 3 slips, 4 line breaks, else unchanged."""
    out = texts.copy()
    luck = rng.integers(1 << 30, size=len(texts)).tolist()
    for i, (text, kind, dice) in enumerate(zip(texts.tolist(), style.tolist(), luck, strict=True)):
        if kind == 1:
            out[i] = text.lower()
        elif kind == 2:
            out[i] = text.rstrip(".!?")
        elif kind == 3 and len(text) > 12:
            at = 2 + dice % (len(text) - 4)
            out[i] = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        elif kind == 4:
            out[i] = text.replace(". ", ".\n")
    return out


def _own_language(grammar: Grammar, rng: Rng, people: People, who: Ints, prompt: Texts) -> Texts:
    """The prompts, with those of people who write in their country's language replaced."""
    language = _LANGUAGES[people.country[who]]
    share = people.foreign[who] if len(people.foreign) else np.zeros(len(who))
    local = (language != "en") & (rng.random(len(who)) < share)
    for name in np.unique(language[local]).tolist():
        where = np.flatnonzero(local & (language == name))
        prompt[where] = grammar.make(rng, f"ask.{name}", len(where))
    return prompt


def _talk(
    root: str, town: Town, rng: Rng, people: People, who: Ints, turn: Ints, session: Ints
) -> tuple[Texts, Texts]:
    """Conversations: openings from one root, then mostly follow-ups, as long as each writer's texts are."""
    n = len(who)
    grammar = town.grammar
    prompt = grammar.make(rng, root, n)
    later = (turn > 1) & (rng.random(n) < 0.75)
    prompt[later] = grammar.make(rng, "followup.more", int(later.sum()))
    prompt = _own_language(grammar, rng, people, who, prompt)
    # Strangers share popular prompts from the web word for word.
    popular = town.popular()
    borrowed = np.flatnonzero((turn == 1) & (rng.random(n) < 0.12 * people.wordy[who]))
    weight = 1 / np.arange(1, len(popular) + 1)
    chosen = popular[rng.choice(len(popular), size=len(borrowed), p=weight / weight.sum())]
    prompt[borrowed] = fill(chosen, Q=prompt[borrowed])
    wordy = np.where(later, 0.35, 1.0) * people.wordy[who]
    _lengthen(grammar, rng, prompt, wordy, people.style[who])
    return styled(rng, prompt, people.style[who]), people.system[who]


def _lengthen(grammar: Grammar, rng: Rng, prompt: Texts, wordy: Floats, style: Ints) -> None:
    """Add details and pasted material in place. Lengths were fitted to public prompt collections."""
    n = len(prompt)
    details = rng.poisson(4.0 * wordy)
    row = np.repeat(np.arange(n), details)
    sentences = grammar.make(rng, "detail", len(row)).tolist()
    at = np.concatenate([[0], np.cumsum(details)]).tolist()
    pastes = np.where(rng.random(n) < 0.4 * wordy, rng.geometric(0.55, n), 0)
    pasted = grammar.make(rng, "paste", int(pastes.sum())).tolist()
    to = np.concatenate([[0], np.cumsum(pastes)]).tolist()
    for i in np.flatnonzero((details > 0) | (pastes > 0)).tolist():
        between = "\n" if style[i] in (4, 5) else " "
        parts = [prompt[i], *sentences[at[i] : at[i + 1]]]
        prompt[i] = "\n\n".join([between.join(parts), *pasted[to[i] : to[i + 1]]])


def talk(root: str) -> TextMaker:
    """A maker of conversations whose questions come from rule ``root``."""
    return partial(_talk, root)


def mixture(*parts: tuple[str, float]) -> TextMaker:
    """A maker of conversations in which each session draws its root by weight."""
    return partial(_mixture, tuple(p[0] for p in parts), tuple(p[1] for p in parts))


def _mixture(
    roots: tuple[str, ...], weights: tuple[float, ...], town: Town, rng: Rng, people: People, who: Ints,
    turn: Ints,
    session: Ints,
) -> tuple[Texts, Texts]:  # fmt: skip
    share = np.array(weights) / sum(weights)
    number, back = np.unique(session, return_inverse=True)
    pick = rng.choice(len(roots), size=len(number), p=share)[back]
    prompt, system = none(len(who)), none(len(who))
    for i, root in enumerate(roots):
        at = np.flatnonzero(pick == i)
        if len(at):
            prompt[at], system[at] = _talk(root, town, rng, people, who[at], turn[at], session[at])
    return prompt, system


#: Range of the share of programs that use a framework's own template. Each world draws its own share.
STOCK_TEMPLATES = (0.2, 0.7)


def _templates(town: Town, rng: Rng, rule: str, n: int) -> Texts:
    """``n`` templates of one rule: some are the program's own, some come with a framework and stay unchanged."""
    templates = town.grammar.make(rng, rule, n)
    stock = town.stock_templates(rule)
    # A few frameworks have most of the users.
    weight = 1 / np.arange(1, len(stock) + 1)
    taken = np.flatnonzero(rng.random(n) < rng.uniform(*STOCK_TEMPLATES))
    templates[taken] = rng.choice(stock, size=len(taken), p=weight / weight.sum())
    return templates


def pipeline(*kinds: str) -> TextMaker:
    """A maker of programs that run one or two templates over documents: their own, or a framework's.

    ``kinds``: rag, classify.
    """
    return partial(_pipeline, kinds)


def _pipeline(
    kinds: tuple[str, ...], town: Town, rng: Rng, people: People, who: Ints, turn: Ints, session: Ints
) -> tuple[Texts, Texts]:
    n = len(people)
    grammar = town.grammar
    templates = np.empty((n, 2), dtype=object)
    for column in range(2):
        kind = rng.integers(len(kinds), size=n)
        for i, name in enumerate(kinds):
            at = np.flatnonzero(kind == i)
            templates[at, column] = _templates(town, rng, f"{name}.template", len(at))
    # A second template is often a later version of the first.
    same = rng.random(n) < 0.5
    templates[same, 1] = [t + "\nBe brief." for t in templates[same, 0].tolist()]
    pick = (rng.random(len(who)) < 0.2).astype(int)
    chosen = templates[who, pick]
    document = grammar.make(rng, "ticket", len(who))
    long = np.flatnonzero(rng.random(len(who)) < 0.5)
    document[long] = grammar.make(rng, "doc", len(long))
    asked = grammar.make(rng, "ask.business", len(who))
    prompt = fill(fill(chosen, DOC=document), ASK=asked)
    return prompt, people.system[who]


def _judge(town: Town, rng: Rng, people: People, who: Ints, turn: Ints, session: Ints) -> tuple[Texts, Texts]:
    """Programs that have answers graded by a published form or by one of their own."""
    form = _templates(town, rng, "judge.template", len(people))
    asked = questions(town.grammar, rng, len(who), DOMAINS)
    # ``fill`` gives two different candidates where the form takes two.
    prompt = fill(fill(form[who], Q=asked), A=answers(town.grammar, rng, len(who)))
    return prompt, people.system[who]


#: Most prompts of a public library that one user uses, and the share of the user's openings that use one.
LIBRARY_PROMPTS, LIBRARY_SHARE = 4, 0.6


def _library(
    town: Town, rng: Rng, people: People, who: Ints, turn: Ints, session: Ints
) -> tuple[Texts, Texts]:
    """People who paste prompts from a public library word for word around their own questions."""
    prompt, system = TEXTS["everything"](town, rng, people, who, turn, session)
    library = town.stock_templates("library.prompt", most=16)
    weight = 1 / np.arange(1, len(library) + 1)
    favourites = rng.choice(len(library), size=(len(people), LIBRARY_PROMPTS), p=weight / weight.sum())
    used = np.flatnonzero((turn == 1) & (rng.random(len(who)) < LIBRARY_SHARE))
    one = favourites[who[used], rng.integers(LIBRARY_PROMPTS, size=len(used))]
    prompt[used] = fill(library[one], Q=prompt[used])
    return prompt, system


def _load(town: Town, rng: Rng, people: People, who: Ints, turn: Ints, session: Ints) -> tuple[Texts, Texts]:
    """Load tests, which repeat one request in all runs of an account."""
    own = town.grammar.make(rng, "load.turn", len(people))
    return own[who], people.system[who]


def questions(
    grammar: Grammar, rng: Rng, n: int, domains: tuple[str, ...], taken: set[str] | None = None
) -> Texts:
    """``n`` bare questions of some domains without repeats. None is in ``taken``, and all are added to it."""
    seen = taken if taken is not None else set()
    rules = set(grammar.names("ask."))
    out = none(n)
    missing = np.arange(n)
    for attempt in range(12):
        pick = rng.integers(len(domains), size=len(missing))
        for i, domain in enumerate(domains):
            at = missing[pick == i]
            if len(at):
                out[at] = grammar.make(rng, f"ask.{domain}" if f"ask.{domain}" in rules else domain, len(at))
        if attempt > 5:
            # After several tries the vocabulary is exhausted. Real lists then vary the case at hand.
            extra = grammar.make(rng, "sentence", len(missing)).tolist()
            out[missing] = [f"{q} ({e})" for q, e in zip(out[missing].tolist(), extra, strict=True)]
        repeated = []
        for i in missing.tolist():
            if out[i] in seen:
                repeated.append(i)
            else:
                seen.add(out[i])
        missing = np.array(repeated, dtype=np.int64)
        if not len(missing):
            break
    return out


def answers(grammar: Grammar, rng: Rng, n: int) -> Texts:
    """Plausible candidate answers for grading or explanation."""
    return grammar.make(rng, "fake.answer", n)


TEXTS: dict[str, TextMaker] = {
    "chat": talk("chat.en"),
    "code": talk("chat.code"),
    "agent": talk("agent.turn"),
    "student": talk("work.student"),
    "translator": talk("work.translator"),
    "writer": mixture(("work.writer", 5), ("work.teacher", 1)),
    "analyst": talk("work.analyst"),
    "foreign": talk("chat.other"),
    "hack": talk("hack.turn"),
    "redteam": talk("redteam"),
    "ci": talk("ci.turn"),
    "load": _load,
    "app": mixture(("ticket", 2), ("chat.en", 3), ("ask.life", 1), ("ask.business", 1), ("work.writer", 1)),
    "rag": pipeline("rag"),
    "classify": pipeline("classify"),
    "documents": pipeline("rag", "classify"),
    "judge": _judge,
    "library": _library,
    "staff": mixture(("chat.en", 2), ("work.writer", 2), ("work.analyst", 2), ("chat.code", 1),
    ("ask.business", 1), ("work.teacher", 1)),
    "startup": mixture(("chat.code", 4), ("agent.turn", 2), ("ask.business", 1), ("work.writer", 1)),
    "everything": mixture(
        ("chat.en", 5), ("chat.code", 3), ("chat.other", 3), ("work.writer", 2), ("work.student", 2),
        ("work.teacher", 1), ("work.analyst", 1),
        ("work.translator", 1),
    ),
}  # fmt: skip
