"""Stylometry: layout and pace of a text, in about a hundred numbers that ignore its words.

These numbers say what a hashed n-gram cannot: how long sentences are, how a list is set, how evenly lines run. They
hold in any language that uses the same marks. Counts are rates, so a long text does not count as a style.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Characters read of a text.
MAX_CHARS = 8000
_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~0123456789"
_WIDE = "–—‘’“”…•→✓×°€£、。，！？：；「」（）"
#: Names of the line patterns and what each matches at the start of a line.
_LINES: tuple[tuple[str, str], ...] = (
    ("star bullet", r"\* "),
    ("star bullet, three blanks", r"\*   "),
    ("dash bullet", r"- "),
    ("dot bullet", r"• ?"),
    ("plus bullet", r"\+ "),
    ("indented bullet", r"[ \t]+[-*+•] "),
    ("numbered", r"\d{1,2}\. "),
    ("numbered with bracket", r"\d{1,2}\) "),
    ("indented numbered", r"[ \t]+\d{1,2}[.)] "),
    ("numbered bold", r"\d{1,2}\. \*\*"),
    ("bullet bold", r"[ \t]*[-*+•] +\*\*"),
    ("heading 1", r"# "),
    ("heading 2", r"## "),
    ("heading 3", r"### "),
    ("heading 4", r"####+ "),
    ("bold line", r"\*\*[^*\n]+\*\*:?\s*$"),
    ("bold opening", r"\*\*"),
    ("fence", r"```"),
    ("table row", r"\|"),
    ("rule", r"(?:---+|\*\*\*+|___+)\s*$"),
    ("quote", r"> "),
    ("indented", r"(?:    |\t)\S"),
    ("letter point", r"[A-Za-z][.)] "),
    ("label", r"[A-Z][\w ]{1,30}:"),
    ("opens lower", r"[a-z]"),
)
#: Name, pattern, and a string that every match contains. Its absence saves the search in most texts.
_COUNTED: tuple[tuple[str, str, str], ...] = (
    ("bold span", r"\*\*[^*\n]+\*\*", "**"),
    ("bold with colon inside", r"\*\*[^*\n]+:\*\*", ":**"),
    ("bold with colon after", r"\*\*[^*\n]+\*\*:", "**:"),
    ("slanted span", r"(?<![*\w])\*[^*\s][^*\n]*\*(?!\*)", "*"),
    ("code span", r"`[^`\n]+`", "`"),
    ("link", r"\]\(", "]("),
    ("trailing blanks", r"[ \t]+\n", " \n"),
    ("double blank after stop", r"[.!?]  ", "  "),
    ("two line breaks", r"\n\n", "\n\n"),
    ("three line breaks", r"\n\n\n", "\n\n\n"),
    ("line ends with colon", r":[ \t]*\n", ":"),
    ("line ends without a stop", r"\w[ \t]*\n", "\n"),
    ("capital after comma", r", [A-Z]", ", "),
    ("word in capitals", r"\b[A-Z]{2,}\b", ""),
    ("hyphened word", r"\w-\w", "-"),
    ("contraction", r"['’](?:s|t|re|ve|ll|d|m)\b", ""),
    ("bracket aside", r" \([^)\n]+\)", " ("),
    ("year", r"\b[12]\d{3}\b", ""),
    ("first person", r"\bI\b", "I"),
)
_LINE_RES = [re.compile(pattern) for _, pattern in _LINES]
#: The line patterns that can match a line that opens with a letter.
_PROSE = [i for i, (name, _) in enumerate(_LINES) if name in ("letter point", "label", "opens lower")]
_ALL = range(len(_LINES))
_COUNT_RES = [(re.compile(pattern), guard) for _, pattern, guard in _COUNTED]
_STOP = re.compile(r"[.!?。！？]+[\s\"'”’)]*")
_SHAPES = (
    "log characters", "log words", "log lines", "log sentences", "characters a word", "words a sentence",
    "spread of words a sentence", "longest sentence", "words a line", "spread of words a line", "first line's words",
    "last line's words", "distinct words", "words seen once", "long words", "short words", "capitals", "other scripts",
    "lines that are empty", "opens with a mark", "opens with a capital", "ends with a stop", "ends with a question",
    "ends with a shout", "ends with a line break", "ends with a mark", "opens with blank", "first sentence's words",
    "last sentence's words", "colon in the first line", "shout in the first line", "one line only",
)  # fmt: skip
#: Names of the columns, in order.
COLUMNS: tuple[str, ...] = (
    *_SHAPES,
    *(f"rate of {mark}" for mark in _MARKS + _WIDE),
    *(f"lines: {name}" for name, _ in _LINES),
    *(f"any: {name}" for name, _ in _LINES),
    *(f"rate: {name}" for name, _, _ in _COUNTED),
)


def _spread(values: list[int]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return float((sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5)


def _row(text: str) -> list[float]:
    n = len(text) or 1
    words = text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    line_words = [len(line.split()) for line in lines] or [0]
    sentence_words = [len(s.split()) for s in _STOP.split(text) if s.strip()] or [0]
    n_words, n_lines = len(words) or 1, len(lines) or 1
    lengths = [len(w) for w in words] or [0]
    seen: dict[str, int] = {}
    for word in words:
        seen[word] = seen.get(word, 0) + 1
    whole = text.strip()
    first, last = whole[:1], whole[-1:]
    breaks = text.count("\n") + 1
    root = n_words**0.5
    shapes = [
        np.log1p(len(text)), np.log1p(len(words)), np.log1p(len(lines)), np.log1p(len(sentence_words)),
        sum(lengths) / n_words, sum(sentence_words) / len(sentence_words), _spread(sentence_words), max(sentence_words),
        sum(line_words) / n_lines, _spread(line_words), line_words[0], line_words[-1], len(seen) / root,
        sum(1 for v in seen.values() if v == 1) / n_words, sum(1 for v in lengths if v > 9) / n_words,
        sum(1 for v in lengths if v < 4) / n_words, sum(map(str.isupper, text)) / n,
        sum(1 for c in text if c > "\u02ff") / n if not text.isascii() else 0.0,
        (breaks - len(lines)) / breaks, float(bool(first) and not first.isalnum()), float(first.isupper()),
        float(last in ".。"), float(last in "?？"), float(last in "!！"), float(text.endswith("\n")),
        float(bool(last) and not last.isalnum()), float(text[:1].isspace()), sentence_words[0], sentence_words[-1],
        float(bool(lines) and lines[0].rstrip().endswith(":")), float(bool(lines) and "!" in lines[0]),
        float(len(lines) <= 1),
    ]  # fmt: skip
    thousand = 1000.0 / max(n, 100)
    marks = [text.count(mark) * thousand for mark in _MARKS]
    marks += [text.count(mark) * thousand for mark in _WIDE] if not text.isascii() else [0.0] * len(_WIDE)
    starts = [0] * len(_LINE_RES)
    for line in lines:
        for at in _PROSE if line[0].isalpha() else _ALL:
            if _LINE_RES[at].match(line):
                starts[at] += 1
    counted = [
        len(pattern.findall(text)) * thousand if guard in text else 0.0 for pattern, guard in _COUNT_RES
    ]
    return [*shapes, *marks, *(s / n_lines for s in starts), *(float(s > 0) for s in starts), *counted]


def measured(texts: Sequence[str | None]) -> Floats:
    """Style of each text: texts x ``len(COLUMNS)``. A NULL text measures as an empty one; no value is NaN."""
    if not texts:
        return np.zeros((0, len(COLUMNS)), np.float32)
    return np.array([_row((text or "")[:MAX_CHARS]) for text in texts], np.float32)
