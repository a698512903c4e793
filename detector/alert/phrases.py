"""The words for kinds of evidence and measurements, as the plug-ins and the stages of the score declare them.

What nobody here has heard of - a kind or column of a plug-in that is not installed - still gets a true sentence, made
of its family and its bare name. Sentences say what was measured, never what it is taken to mean, so they stay true
whichever way a classifier leaned on them.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from detector.alert.clean import clean
from detector.decide.contributions import CONTRIBUTIONS
from detector.score.terms import COMPUTED
from features import plugins
from features.families import FAMILIES


class Words(NamedTuple):
    """How accounts come to hold a key: "412 of 430 accounts ``verb`` 9 ``many``"."""

    verb: str
    one: str
    many: str


def held(kind: str, family: str) -> Words:
    """Words for a kind of shared key: its tie's; without the tie those of its family, and its own name."""
    if tie := plugins.kinds().get(kind):
        return Words(tie.verb, tie.one, tie.many)
    name = clean(kind.replace("_", " "), 40)
    of = FAMILIES.get(family)
    one, many = (of.one, of.many) if of else ("key", "keys")
    return Words("shared", f"{one} ({name})", f"{many} ({name})")


@cache
def _declared() -> dict[str, str]:
    """What each measurement and contribution means, without the note on NULL."""
    every = (*plugins.columns("account"), *plugins.columns("group"), *COMPUTED, *CONTRIBUTIONS)
    return {c.name: c.meaning.partition(";")[0] for c in every}


def measured(part: str) -> str | None:
    """What a measurement measures, or None when nothing that is installed declares it."""
    return _declared().get(part.lower())


def amount(name: str, value: float | None) -> str:
    """A measured value in words, by the unit its name ends in; NULL is "not measured"."""
    if value is None or math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "beyond measure"
    if name.endswith("_share"):
        return share(value)
    if name.endswith("_ms"):
        return span(value / 1000)
    if name.endswith("_s"):
        return span(value)
    if name.endswith("_bits"):
        return f"{value:.1f} bits"
    if name.startswith("n_") or (float(value).is_integer() and abs(value) >= 10):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def share(value: float) -> str:
    """A share of a whole (0..1) as a percentage that never rounds up to all or down to none."""
    if 0 < value < 0.01:
        return "under 1 %"
    if 0.99 < value < 1:
        return "over 99 %"
    return f"{100 * value:.0f} %"


def span(seconds: float) -> str:
    """A duration in the largest unit that leaves two digits to read."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("min", 60.0)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if abs(seconds) >= 1 else f"{1000 * seconds:.0f} ms"


def probability(value: float | None) -> str:
    """A probability (0..1) to two digits; certainty is never claimed."""
    if value is None:
        return "unknown"
    if value > 0.99:
        return "over 0.99"
    if value < 0.01:
        return "under 0.01"
    return f"{value:.2f}"


def count(n: int, one: str, many: str) -> str:
    """A number and its noun."""
    return f"{n:,} {one if n == 1 else many}"
