"""Says in plain words why a subject was scored as it was, what else could explain it, what would clear it.

The reader is a reviewer who must act or not, and, in an appeal, the person accused. Every sentence carries
its number; nothing is said that the rows handed in do not hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.alert.clean import clean, show_id
from detector.alert.evidence import Evidence, only_spoofable, weigh
from detector.alert.honest import explanations
from detector.alert.phrases import amount, count, measured, probability
from detector.bits import from_bits, odds_bits
from detector.decide.contributions import CONTRIBUTIONS
from detector.score import inputs, relational
from features import plugins

#: Kind of abuse -> how a title begins.
KINDS: dict[str, str] = {
    "distillation": "Distillation",
    "logit_extraction": "Extraction of token probabilities",
    "key_compromise": "Stolen key",
    "key_sharing": "Shared key",
    "resale": "Resale of access",
    "other": "Unusual use",
}
#: A part below this is not worth a sentence (bits): it moves odds by less than a tenth.
_LEAST_BITS = 0.14
#: Contributions that have no value of their own: the formula makes them of others.
NO_VALUE = frozenset(column.name for column in CONTRIBUTIONS)
#: Contributions that are no reason: they add up to the score, and say nothing of this subject.
_NO_REASON = frozenset(column.name for column in inputs.CONTRIBUTIONS)
#: Reasons told; the case file lists every part.
_MOST_REASONS = 12


@dataclass(frozen=True)
class Description:
    """A scored subject in words.

    ``reasons`` strongest first; ``against`` is what spoke for the subject; ``cleared_by`` says which parts
    had to be absent for the score to stay below the threshold; ``families`` are the evidence families,
    strongest first.
    """

    title: str
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    spoofable: tuple[str, ...]
    innocent: tuple[str, ...]
    cleared_by: tuple[str, ...]
    families: tuple[str, ...]


def describe(
    subject: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    why: Sequence[Mapping[str, Any]],
    *,
    threshold: float,
) -> Description:
    """What is said of one scored group or account.

    Parameters
    ----------
    subject : its row of ``groups`` (told by ``n_accounts``) or ``account_scores``.
    parts : its rows of ``contributions`` on the day of the score.
    why : rows of ``why`` of the group; for an account those of its own account id, or none.
    threshold : probability an alert needs (0..1).
    """
    is_group = "n_accounts" in subject
    subject_type = "group" if is_group else "account"
    subject_id = str(subject["group_id" if is_group else "account_id"])
    n_accounts = int(subject.get("n_accounts") or 0) if is_group else 1
    kinds = weigh(why, n_accounts)
    n_accounts = max(n_accounts, *(e.n_members for e in kinds)) if kinds else n_accounts
    kind = str(subject.get("kind") or "other")
    reasons = [p for p in parts if p["feature"] not in _NO_REASON]
    neighbours = _neighbours(reasons)
    families = tuple(dict.fromkeys([*(e.family for e in kinds), *neighbours]))
    return Description(
        title=_title(subject, subject_type, subject_id, kind, n_accounts),
        reasons=_reasons(reasons, kinds, n_accounts),
        against=tuple(_part_sentence(p) for p in _ranked(reasons) if _bits(p) <= -_LEAST_BITS)[::-1],
        spoofable=_spoofable(kinds, why, n_accounts, neighbours),
        innocent=explanations(subject_type, subject_id, kind, families),
        cleared_by=cleared_by(subject, parts, threshold),
        families=families,
    )


def _title(subject: Mapping[str, Any], subject_type: str, subject_id: str, kind: str, n_accounts: int) -> str:
    begin = KINDS.get(kind) or clean(kind.replace("_", " "), 40).capitalize()
    sure = f"probability {probability(subject.get('score'))}"
    if subject_type == "group":
        size = count(n_accounts, "account", "accounts")
        asked = subject.get("n_requests")
        volume = f", {count(int(asked), 'request', 'requests')}" if asked else ""
        return f"{begin}: {size} that act as one operation{volume} ({sure})"
    return f"{begin}: account {show_id(subject_id, 64)} ({sure})"


def _bits(part: Mapping[str, Any]) -> float:
    value = part.get("bits")
    return 0.0 if value is None or math.isnan(value) else float(value)


def _neighbours(parts: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Evidence family -> the strongest part in which neighbours on keys of it speak against the account."""
    by_family: dict[str, Mapping[str, Any]] = {}
    for part in _ranked(parts):
        family = relational.FAMILY_OF.get(str(part["feature"]))
        if family and _bits(part) >= _LEAST_BITS:
            by_family.setdefault(family, part)
    return by_family


def _ranked(parts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(parts, key=lambda p: (-_bits(p), str(p["feature"])))


def _part_sentence(part: Mapping[str, Any]) -> str:
    name = clean(part["feature"], 60)
    bits = _bits(part)
    effect = f"added {bits:.1f} bits" if bits >= 0 else f"took away {-bits:.1f} bits"
    # What a group's measurements rest on is the same for all: its active members, told once in the title.
    if part.get("n") and part.get("subject_type") != "group":
        effect += f", from {count(int(part['n']), 'observation', 'observations')}"
    what = measured(str(part["feature"]))
    if part.get("value") is None and name in NO_VALUE:
        return f"{what[0].upper()}{what[1:]} ({effect})" if what else f"{name} {effect}"
    value = amount(name, part.get("value"))
    if what is None:
        return f"{name} {value} {effect}"
    return f"{what[0].upper()}{what[1:]}: {name} {value} ({effect})"


def _reasons(
    parts: Sequence[Mapping[str, Any]], kinds: Sequence[Evidence], n_accounts: int
) -> tuple[str, ...]:
    sentences = [(_bits(p), _part_sentence(p)) for p in parts if _bits(p) >= _LEAST_BITS]
    # Evidence in bits an account stands beside parts in bits a subject: both say how far the odds moved.
    sentences += [(e.bits, e.sentence(n_accounts)) for e in kinds if e.bits >= _LEAST_BITS]
    sentences.sort(key=lambda item: (-item[0], item[1]))
    words = [sentence for _, sentence in sentences]
    if len(words) > _MOST_REASONS:
        left = len(words) - _MOST_REASONS + 1
        words = [*words[: _MOST_REASONS - 1], f"{left} weaker reasons, listed in the case file"]
    return tuple(words)


def _spoofable(
    kinds: Sequence[Evidence],
    why: Sequence[Mapping[str, Any]],
    n_accounts: int,
    neighbours: Mapping[str, Mapping[str, Any]],
) -> tuple[str, ...]:
    sentences = [_arranged(e.sentence(n_accounts)) for e in kinds if e.spoofable]
    if alone := only_spoofable(why):
        holds = "account is" if alone == 1 else "accounts are"
        sentences.append(f"{alone:,} {holds} tied to the group by such evidence alone and may be victims")
    # Neighbours that anybody can give himself: the same client, the same words.
    spoofable = plugins.spoofable_families()
    sentences += [_arranged(_part_sentence(p)) for family, p in neighbours.items() if family in spoofable]
    return tuple(sentences)


def _arranged(sentence: str) -> str:
    return f"{sentence}: an outsider could have arranged this"


def cleared_by(
    subject: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], threshold: float
) -> tuple[str, ...]:
    """Which parts had to be absent for the probability to stay below ``threshold`` (0..1).

    Each single part that suffices; when none does, the fewest parts that together do. Parts add up in
    log-odds, so the strongest first is the smallest such set. Empty when the score is below it anyway.
    """
    total = subject.get("score_bits")
    if total is None:
        score = subject.get("score")
        total = sum(map(_bits, parts)) if score is None else odds_bits(float(score))
    total, limit = float(total), odds_bits(threshold)
    if total < limit:
        return ()
    needed = f"below the {probability(threshold)} an alert needs"
    positive = [p for p in _ranked(parts) if _bits(p) > 0 and p["feature"] not in _NO_REASON]
    sentences: list[str] = []
    for part in positive:
        if (left := total - _bits(part)) >= limit:
            break
        sentences.append(
            f"Without {_named(part)} the probability is {_short_of(from_bits(left), threshold)}, {needed}"
        )
    if sentences:
        return tuple(sentences)
    left = total
    for taken, part in enumerate(positive, start=1):
        left -= _bits(part)
        if left < limit:
            names = ", ".join(_named(p) for p in positive[:taken])
            return (f"Only without all of {names} is it {_short_of(from_bits(left), threshold)}, {needed}",)
    return ("No set of measured parts brings it below the threshold: the score does not rest on them alone",)


def _short_of(value: float, limit: float) -> str:
    """A probability below ``limit``; in words where the two would read alike."""
    return probability(value) if probability(value) != probability(limit) else "marginally less"


def _named(part: Mapping[str, Any]) -> str:
    return f"{clean(part['feature'], 60)} ({_bits(part):.1f} bits)"
