"""Sentences in bulk: phrase files are read into rules, and a rule is expanded for many texts at once.

Held-out tests need text that a detector has never seen, so every longer rule is split by family letter. A world with
families ``"a"`` and one with ``"b"`` share no sentence pattern, no scaffold and no topic word. Rules marked ``!`` and
rules with fewer than six alternatives are too small to split and are shared.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

LETTERS = "abc"
#: Fewest alternatives of a rule that is split: a smaller one would leave no choice.
SMALLEST_SPLIT = 6
_SLOT = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
#: A scaffold's rule name has its family number: 1 and 4 are letter a, 2 and 5 are b, 3 and 6 are c.
_NUMBERED = re.compile(r"^(?:s|scaffold)\.[a-z]+\.(\d)")

Texts = NDArray[np.object_]


def _ints(rng: np.random.Generator, n: int) -> list[str]:
    # Log-uniform: in written text each order of magnitude is about equally common.
    return [str(v) for v in np.exp(rng.uniform(np.log(10), np.log(900), n)).astype(int).tolist()]


def _money(rng: np.random.Generator, n: int) -> list[str]:
    sign = np.array(["$", "€", "£", ""])[rng.integers(4, size=n)].tolist()
    value = (np.exp(rng.uniform(np.log(20), np.log(9000), n)) // 5 * 5).astype(int).tolist()
    return [f"{s}{v}" if s else f"{v} dollars" for s, v in zip(sign, value, strict=True)]


_BUILT_IN = {
    "int": _ints,
    "small": lambda rng, n: [str(v) for v in rng.integers(2, 10, n).tolist()],
    "num": lambda rng, n: [f"{v:.2f}" for v in rng.uniform(0.01, 9, n).tolist()],
    "pct": lambda rng, n: [f"{v}%" for v in rng.integers(2, 85, n).tolist()],
    "year": lambda rng, n: [str(v) for v in rng.integers(1850, 2026, n).tolist()],
    "money": _money,
}


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    """All rules of the phrase files, unsplit and with the marks on their names."""
    sections: dict[str, tuple[str, ...]] = {}
    folder = resources.files("detector.lab.worlds") / "phrases"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".txt"):
            continue
        name = ""
        lines: list[str] = []
        for line in [*file.read_text(encoding="utf-8").split("\n"), "[end]"]:
            if line.startswith("#") and not line.startswith("# Role"):
                continue
            if re.fullmatch(r"\[[a-z0-9_.]+[!|]*\]", line):
                if name:
                    sections[name] = tuple(lines)
                name, lines = line[1:-1], []
            elif line.strip():
                if name.endswith("|"):
                    lines += [word.strip() for word in line.split(" | ") if word.strip()]
                else:
                    lines.append(line.replace("\\n", "\n").replace("\\t", "\t"))
    return sections


def _keep(name: str, mark: str, lines: tuple[str, ...], families: str) -> tuple[str, ...]:
    if _NUMBERED.match(name) or "!" in mark or len(lines) < SMALLEST_SPLIT:
        return lines
    return tuple(line for i, line in enumerate(lines) if LETTERS[i % len(LETTERS)] in families)


class Grammar:
    """The rules for one choice of families. ``make`` expands a rule many times in one pass.

    Parameters
    ----------
    families : letters out of "abc", which choose the alternatives of split rules.

    Raises
    ------
    ValueError : a letter is not in "abc", or a slot names no rule.
    """

    def __init__(self, families: str = LETTERS) -> None:
        if not families or set(families) - set(LETTERS):
            raise ValueError(f"families {families!r} must be letters out of {LETTERS!r}")
        self.families = families
        self._rules: dict[str, tuple[str, ...]] = {}
        for title, lines in _sections().items():
            name = title.rstrip("!|")
            self._rules[name] = _keep(name, title[len(name) :], lines, families)
        self._compiled: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._plain: dict[str, Texts] = {}
        for name, lines in self._rules.items():
            self._compile(name, lines)

    def _compile(self, name: str, lines: tuple[str, ...]) -> None:
        parts = []
        for line in lines:
            slots = tuple(s for s in _SLOT.findall(line))
            unknown = [s for s in slots if s not in self._rules and s not in _BUILT_IN]
            if unknown:
                raise ValueError(f"rule {name!r} uses {unknown[0]!r}, which is no rule")
            parts.append((_SLOT.sub("\x00", line).replace("%", "%%").replace("\x00", "%s"), slots))
        if all(not slots for _, slots in parts):
            self._plain[name] = np.array(lines, dtype=object)
        else:
            self._compiled[name] = parts

    def names(self, prefix: str) -> tuple[str, ...]:
        """Rules whose name begins with ``prefix``. Of scaffolds only the families in use count."""
        names = []
        for name in self._rules:
            if not name.startswith(prefix):
                continue
            numbered = _NUMBERED.match(name)
            if numbered and LETTERS[(int(numbered[1]) - 1) % len(LETTERS)] not in self.families:
                continue
            names.append(name)
        return tuple(names)

    def lines(self, name: str) -> tuple[str, ...]:
        """The alternatives of a rule, unexpanded."""
        return self._rules[name]

    def make(self, rng: np.random.Generator, name: str, n: int) -> Texts:
        """``n`` expansions of rule ``name``, each of a randomly chosen alternative."""
        out = np.empty(n, dtype=object)
        if name in _BUILT_IN:
            out[:] = _BUILT_IN[name](rng, n)
            return out
        if name in self._plain:
            words = self._plain[name]
            return words[(rng.random(n) * len(words)).astype(np.intp)]
        parts = self._compiled[name]
        # rng.integers would be slower: its checks cost more than these many short draws.
        pick = (rng.random(n) * len(parts)).astype(np.intp)
        order = np.argsort(pick, kind="stable")
        edges = np.searchsorted(pick[order], np.arange(len(parts) + 1))
        for i, (pattern, slots) in enumerate(parts):
            where = order[edges[i] : edges[i + 1]]
            if not len(where):
                continue
            if not slots:
                out[where] = pattern % ()
                continue
            columns = [self.make(rng, slot, len(where)).tolist() for slot in slots]
            out[where] = [pattern % values for values in zip(*columns, strict=True)]
        return out

    def one(self, rng: np.random.Generator, name: str) -> str:
        """A single expansion."""
        return str(self.make(rng, name, 1)[0])

    def fill(self, rng: np.random.Generator, rule: str, n: int, **slots: Texts) -> Texts:
        """``n`` expansions whose upper-case slots ``{Q}``, ``{A}``, ... are replaced element by element."""
        return fill(self.make(rng, rule, n), **slots)


def fill(templates: Texts, **slots: Texts) -> Texts:
    """Put ``slots`` (by upper-case name) into expanded templates, element by element.

    Slots inside the values are not filled. Where a template has a slot twice, the second takes the next element's
    value, so that two candidates in one comparison differ.
    """
    mark = re.compile(r"\{(" + "|".join(slots) + r")\}")
    columns = {name: values.tolist() for name, values in slots.items()}
    out = np.empty(len(templates), dtype=object)
    for i, text in enumerate(templates.tolist()):
        parts = mark.split(text)
        seen = dict.fromkeys(columns, 0)
        for k in range(1, len(parts), 2):
            name = parts[k]
            values = columns[name]
            parts[k] = values[(i + seen[name]) % len(values)]
            seen[name] += 1
        out[i] = "".join(parts)
    return out
