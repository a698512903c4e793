"""From scored subjects to findings: each group and lone account whose verdict is ``alert``, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from detector.alert.lifecycle import Finding, severity_of
from detector.alert.words import describe
from detector.config import alert_needs

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]


def findings(
    groups: pl.DataFrame,
    accounts: pl.DataFrame,
    parts: pl.DataFrame,
    why: pl.DataFrame,
    *,
    threshold: float,
    day: date,
) -> list[Finding]:
    """What the scorer has to say on ``day``.

    A group is found on days a member is active; a lone account on days it is active itself. An account that
    belongs to an alerted group is told of there, not apart.

    Parameters
    ----------
    groups, accounts, parts, why : rows of ``groups``, ``account_scores``, ``score_parts``, ``why`` of the day.
    threshold : probability an alert needed that day of who stands for himself alone; groups, and who is accused
        for his company, need more (``config.alert_needs``).
    """
    import polars as pl

    alert = pl.col("verdict") == "alert"
    live = groups.filter(alert & (pl.col("last_day") == day) & (pl.col("state") != "merged"))
    inside = set(groups.filter(alert)["group_id"])
    lone = accounts.filter(
        alert & (pl.col("last_day") == day) & ~pl.col("group_id").is_in(list(inside)).fill_null(False)
    )
    by_subject = _index(parts.to_dicts(), "subject_type", "subject_id")
    evidence = _index(why.to_dicts(), "group_id")
    found = [
        _finding("group", row["group_id"], row, by_subject, evidence.get((row["group_id"],), []), threshold)
        for row in live.iter_rows(named=True)
    ]
    for row in lone.iter_rows(named=True):
        own = [w for w in evidence.get((row["group_id"],), []) if w["account_id"] == row["account_id"]]
        found.append(_finding("account", row["account_id"], row, by_subject, own, threshold))
    return found


def _index(rows: Sequence[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[k] for k in keys)].append(row)
    return found


def _finding(
    subject_type: str,
    subject_id: str,
    row: Row,
    parts: Mapping[tuple[Any, ...], list[Row]],
    why: Sequence[Row],
    threshold: float,
) -> Finding:
    needed = alert_needs(threshold, row["score"], is_group=subject_type == "group")
    told = describe(row, parts.get((subject_type, subject_id), []), why, threshold=needed)
    size = int(row.get("n_accounts") or 1)
    return Finding(
        source="score",
        subject_type="group" if subject_type == "group" else "account",
        subject_id=subject_id,
        kind=row["kind"],
        severity=severity_of(row["score"], size),
        score=row["score"],
        title=told.title,
        reasons=told.reasons,
        spoofable=told.spoofable,
        innocent=told.innocent,
        n_accounts=size,
        n_requests=int(row["n_requests"]),
    )
