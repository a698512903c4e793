"""Turns scored subjects into findings: each group and single account whose verdict is ``alert``, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from detector.alert.clean import clean, show_id
from detector.alert.lifecycle import Finding, severity_of
from detector.alert.phrases import probability
from detector.alert.words import KINDS, describe
from detector.config import alert_needs

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]

#: From this many accused members on, a watched group has one alert for all of them: two are still two cases.
FOLDED = 3
#: Most accounts named in one sentence; the case file and the event name more.
_NAMED = 10
#: Most exempted accounts named with their exemption: a sentence of an event ends after 500 characters.
_EXEMPTED = 2


def findings(
    groups: pl.DataFrame,
    accounts: pl.DataFrame,
    parts: pl.DataFrame,
    why: pl.DataFrame,
    *,
    threshold: float,
    day: date,
    exempt: Mapping[str, str] | None = None,
) -> list[Finding]:
    """The findings of the scorer on ``day``.

    A group has a finding on days when a member is active, a single account on days when it is active itself. An account
    of an alerted group has no finding of its own. ``FOLDED`` or more accused members of a group that is only watched
    share one finding: it is one case, and the finding says that it accuses these accounts and not the group.

    Parameters
    ----------
    groups, accounts, parts, why : rows of ``groups``, ``account_scores``, ``contributions``, ``why`` of the day.
    threshold : probability that an alert of a single account needed that day. Groups, and accounts accused for their
        neighbours, need more (``config.alert_needs``).
    exempt : account -> what exempts it, in words. The finding of a group names its exempted accounts.
    """
    import polars as pl

    alert = pl.col("verdict") == "alert"
    live = groups.filter(alert & (pl.col("last_day") == day) & (pl.col("state") != "merged"))
    inside = set(groups.filter(alert)["group_id"])
    accused = accounts.filter(alert & ~pl.col("group_id").is_in(list(inside)).fill_null(False))
    # Exempted members count too: an exemption of one of three must not split one alert into two.
    many = (
        accounts.filter(pl.col("peak_verdict") == "alert")
        .join(groups.filter(pl.col("verdict") == "watch"), on="group_id", how="semi")
        .group_by("group_id")
        .len()
        .filter(pl.col("len") >= FOLDED)
    )
    together = accused.join(many, on="group_id", how="semi")
    single = accused.filter(pl.col("last_day") == day).join(together, on="account_id", how="anti")
    by_subject = _index(parts.to_dicts(), "subject_type", "subject_id")
    evidence = _index(why.to_dicts(), "group_id")
    all_findings = [
        _finding("group", row["group_id"], row, by_subject, evidence.get((row["group_id"],), []), threshold)
        for row in live.iter_rows(named=True)
    ]
    of_group = {row["group_id"]: row for row in groups.iter_rows(named=True)}
    for (name,), members in together.sort("group_id").group_by("group_id", maintain_order=True):
        if members["last_day"].max() == day:
            rows = members.sort("score", "account_id", descending=[True, False]).to_dicts()
            all_findings.append(
                _folded(of_group[name], rows, by_subject, evidence.get((name,), []), threshold)
            )
    for row in single.iter_rows(named=True):
        own = [w for w in evidence.get((row["group_id"],), []) if w["account_id"] == row["account_id"]]
        all_findings.append(_finding("account", row["account_id"], row, by_subject, own, threshold))
    by_group = _of_groups(accounts, exempt or {})
    return [_with_exempted(f, by_group.get(f.subject_id, []), exempt or {}) for f in all_findings]


def _of_groups(accounts: pl.DataFrame, exempt: Mapping[str, str]) -> dict[str, list[str]]:
    """Group -> its exempted accounts, in order."""
    import polars as pl

    inside = accounts.filter(pl.col("account_id").is_in(list(exempt)) & pl.col("group_id").is_not_null())
    return dict(inside.sort("account_id").group_by("group_id").agg("account_id").iter_rows())


def _with_exempted(finding: Finding, exempted: Sequence[str], exempt: Mapping[str, str]) -> Finding:
    """The finding of a group with a first sentence on its exempted accounts, so that sinks learn of new ones."""
    if finding.subject_type != "group" or not exempted:
        return finding
    n = len(exempted)
    words = "; ".join(f"{show_id(a, 64)} ({clean(exempt[a], 100)})" for a in exempted[:_EXEMPTED])
    more = f"; and {n - _EXEMPTED:,} more" if n > _EXEMPTED else ""
    first = f"{n:,} of its accounts {'is' if n == 1 else 'are'} exempted, and not accused: {words}{more}."
    return replace(finding, exempted=tuple(exempted), reasons=(first, *finding.reasons))


def _folded(
    group: Row,
    accused: Sequence[Row],
    parts: Mapping[tuple[Any, ...], list[Row]],
    why: Sequence[Row],
    threshold: float,
) -> Finding:
    """One finding for the members of a watched group that are each accused by themselves."""
    of_group = _finding("group", group["group_id"], group, parts, why, threshold)
    names = [show_id(row["account_id"], 64) for row in accused]
    n = len(accused)
    more = f" and {n - _NAMED:,} more" if n > _NAMED else ""
    kind = Counter(row["kind"] for row in accused).most_common(1)[0][0]
    # The median, so that one account does not set the score of all.
    score = sorted(row["score"] for row in accused)[n // 2]
    own = [
        f"{show_id(row['account_id'], 64)}: {reasons[0]}"
        for row in accused[:_NAMED]
        if (rows := parts.get(("account", row["account_id"]), []))
        and (reasons := describe(row, rows, (), threshold=threshold).reasons)
    ]
    return replace(
        of_group,
        kind=kind,
        severity=severity_of(score, n),
        score=score,
        title=f"{KINDS.get(kind, KINDS['other'])}: {n:,} accounts of one group, each accused by itself "
        f"(probability {probability(score)})",
        reasons=(
            f"{n:,} of the {of_group.n_accounts:,} accounts of group {show_id(group['group_id'])} are accused, each by "
            f"itself: {', '.join(names[:_NAMED])}{more}. The group as a whole is watched only: what ties it does not "
            "accuse its other members.",
            *own,
            *of_group.reasons,
        ),
        n_accounts=n,
        n_requests=sum(int(row["n_requests"]) for row in accused),
    )


def _index(rows: Sequence[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    by_keys: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_keys[tuple(row[k] for k in keys)].append(row)
    return by_keys


def _finding(
    subject_type: str,
    subject_id: str,
    row: Row,
    parts: Mapping[tuple[Any, ...], list[Row]],
    why: Sequence[Row],
    threshold: float,
) -> Finding:
    needed = alert_needs(threshold, row["score"], is_group=subject_type == "group")
    words = describe(row, parts.get((subject_type, subject_id), []), why, threshold=needed)
    size = int(row.get("n_accounts") or 1)
    return Finding(
        source="score",
        subject_type="group" if subject_type == "group" else "account",
        subject_id=subject_id,
        kind=row["kind"],
        severity=severity_of(row["score"], size),
        score=row["score"],
        title=words.title,
        reasons=words.reasons,
        spoofable=words.spoofable,
        innocent=words.innocent,
        n_accounts=size,
        n_requests=int(row["n_requests"]),
    )
