"""Made wordings to learn what asks for training material, and what only looks like it.

One line is one *family*: a form of words with alternatives in braces, its kinds before the bar. Families,
not rows, are held out when the model is measured, since rows of a family are near copies. ``<q>`` stands
for a question, ``<a>`` for an answer, ``<t>`` for a passage, ``<d>`` for a field, ``<n>`` for a figure.
All of it was written for this project; none was taken from anybody's traffic.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detector.backtest.text_wordings import CAPABILITY, ELICITING, HONEST

__all__ = ["Family", "capability_families", "elicitation_families", "expand"]

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<([qatdn])>")


@dataclass(frozen=True)
class Family:
    """A form of words: ``labels`` are kinds (none for honest ones) or the capability; ``language`` its code."""

    name: str
    labels: frozenset[str]
    language: str
    form: str


def elicitation_families() -> tuple[Family, ...]:
    """Families of the five kinds, and honest ones that resemble them."""
    return _read(ELICITING, "ask") + _read(HONEST, "honest")


def capability_families() -> tuple[Family, ...]:
    """Families labelled with the capability they draw on."""
    return _read(CAPABILITY, "able")


def expand(form: str, rng: random.Random, slots: Mapping[str, Callable[[], str]]) -> str:
    """One wording of a form: every brace resolved, innermost first, then every slot filled."""
    while True:
        changed = _CHOICE.sub(lambda m: rng.choice(m.group(1).split("|")), form)
        if changed == form:
            break
        form = changed
    return _SLOT.sub(lambda m: slots[m.group(1)](), form.replace("\\n", "\n"))


def _read(text: str, prefix: str) -> tuple[Family, ...]:
    families = []
    for number, line in enumerate(text.strip().splitlines()):
        head, _, form = line.partition(" : ")
        language, _, labels = head.partition(" ")
        names = frozenset(labels.replace("honest", "").split("+")) - {""}
        families.append(Family(f"{prefix}{number}", names, language, form))
    return tuple(families)
