"""Changed copies of a text: what a rival does to harvested answers, and what training must therefore show.

A classifier trained on raw text alone learns markdown first, and it fails once the layout is stripped. So every
training text is also shown stripped, cut and perturbed. The robustness tables use the same functions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_HEAD = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:[-*+•‣◦–][ \t]+|\(?\d{1,3}[.)][ \t]+|>[ \t]?)", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_STRONG = re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_SLANT = re.compile(r"(?<![\w*])[*_](?=\S)([^*_\n]+?)(?<=\S)[*_](?![\w*])")
_BARS = re.compile(r"[ \t]*\|[ \t|:-]*")
_BLANK = re.compile(r"\s+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")

#: Plain words and their stand-ins, in both directions where both read well.
_SWAPS = {
    "important": "key", "however": "but", "therefore": "so", "additionally": "also", "various": "many",
    "utilize": "use", "provide": "give", "ensure": "make sure", "several": "some", "large": "big", "begin": "start",
    "help": "assist", "show": "display", "often": "frequently", "such as": "like", "for example": "for instance",
    "in order to": "to", "because": "since", "difficult": "hard", "create": "make", "improve": "better",
    "need": "require", "different": "other", "many": "numerous", "also": "too", "small": "little", "good": "fine",
    "main": "chief", "get": "obtain", "buy": "purchase", "quick": "fast", "sure": "certain", "common": "usual",
    "understand": "grasp", "include": "contain", "choose": "pick", "change": "alter", "people": "persons",
    "can": "may", "while": "whereas",
}  # fmt: skip
_SWAP = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, _SWAPS), key=len, reverse=True)) + r")\b", re.IGNORECASE
)


def stripped(text: str) -> str:
    """``text`` without markdown and line breaks: one paragraph of plain sentences."""
    out = _FENCE.sub(" ", text)
    out = _RULE.sub(" ", out)
    out = _HEAD.sub("", out)
    out = _BULLET.sub("", out)
    out = _LINK.sub(r"\1", out)
    out = _STRONG.sub(r"\2", out)
    out = _SLANT.sub(r"\1", out)
    out = _BARS.sub(" ", out).replace("`", "").replace("**", "")
    return _BLANK.sub(" ", out).strip()


def first_words(text: str, n: int = 50) -> str:
    """The first ``n`` words with the layout between them; text without spaces is cut at ``3 n`` characters."""
    end = 0
    for number, word in enumerate(re.finditer(r"\S+", text), 1):
        end = word.end()
        if number == n:
            break
    return text[:end] if end <= 24 * n else text[: 3 * n]


def shuffled(text: str, seed: int) -> str:
    """All words in another order: only the vocabulary is left."""
    words = text.split()
    random.Random(seed).shuffle(words)
    return " ".join(words)


def _stand_in(match: re.Match[str]) -> str:
    old = match.group(0)
    new = _SWAPS[old.lower()]
    return new.capitalize() if old[0].isupper() else new


def reworded(text: str, seed: int) -> str:
    """A rough paraphrase by rule: no layout, stock words replaced, sentences and words dropped, sentences swapped.

    No language model takes part. A real paraphrase may change a text more.
    """
    rng = random.Random(seed)
    sentences = [s for s in _SENTENCE.split(_SWAP.sub(_stand_in, stripped(text))) if s]
    if len(sentences) > 3:
        sentences = [s for s in sentences if rng.random() > 0.1] or sentences[:1]
        for at in range(len(sentences) - 1):
            if rng.random() < 0.1:
                sentences[at], sentences[at + 1] = sentences[at + 1], sentences[at]
    words = " ".join(sentences).split(" ")
    if len(words) > 8:
        words = [w for w in words if rng.random() > 0.05]
    return " ".join(words)


def perturbed(text: str, seed: int) -> str:
    """A training copy: one of several mild changes, drawn by ``seed``. None of them is a row of the robustness table."""
    rng = random.Random(seed)
    kind = rng.randrange(4)
    if kind == 0:
        return reworded(text, seed + 1)
    if kind == 1:
        return first_words(stripped(text), rng.choice((30, 60, 120)))
    if kind == 2:
        words = text.split(" ")
        return " ".join(w for w in words if rng.random() > 0.08) or text
    lines = [line for line in text.split("\n") if rng.random() > 0.15]
    return "\n".join(lines) or text


#: Copies of every training text, by name. The raw text comes first.
TRAINING: dict[str, Callable[[str, int], str]] = {
    "raw": lambda text, seed: text,
    "stripped": lambda text, seed: stripped(text),
    "first 50 words": lambda text, seed: first_words(text, 50),
    "perturbed": perturbed,
}
#: Changes in the robustness table, by name.
ROBUSTNESS: dict[str, Callable[[str, int], str]] = {
    "none": lambda text, seed: text,
    "markdown stripped": lambda text, seed: stripped(text),
    "first 50 words": lambda text, seed: first_words(text, 50),
    "first 100 words": lambda text, seed: first_words(text, 100),
    "words shuffled": shuffled,
    "paraphrased by rule": reworded,
    "lower-cased": lambda text, seed: text.lower(),
    "stripped, first 100 words": lambda text, seed: first_words(stripped(text), 100),
}
