"""A run compared with the truth of a synthetic world: figures, every miss, every false alert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from sklearn.metrics import average_precision_score

from detector.bits import NO_SCORE
from detector.lab.ranking import recall_at
from detector.lake.opened import open_lake


@dataclass(frozen=True)
class Outcome:
    """Figures of one world. ``misses`` and ``false_alerts`` list accounts with campaign or archetype."""

    alerts: pa.Table
    n_attackers: int
    n_honest: int
    average_precision: float
    recall_at: dict[float, float]
    misses: pl.DataFrame
    false_alerts: pl.DataFrame
    false_groups: int
    groups: pl.DataFrame

    def words(self, *, most: int = 20) -> str:
        """The figures in a few lines, with at most ``most`` misses and at most ``most`` false alerts."""
        n_alerted = self.n_attackers - self.misses.height
        lines = [
            f"truth: {self.n_attackers:,} attacking accounts among {self.n_honest:,} honest ones",
            f"alerted: {n_alerted:,} of {self.n_attackers:,} attackers, {self.false_alerts.height:,} honest accounts; "
            f"{self.false_groups:,} false groups",
            f"average precision over accounts {self.average_precision:.3f}; recall at 0.1 % / 1 % false positives "
            + " / ".join(f"{v:.3f}" for v in self.recall_at.values()),
        ]
        for title, rows, column in (
            ("missed", self.misses, "campaign"),
            ("falsely alerted", self.false_alerts, "archetype"),
        ):
            lines += [
                f"  {title}: {row['account_id']} ({row[column]}), score {row['score']:.3g}"
                for row in rows.head(most).iter_rows(named=True)
            ]
            if rows.height > most:
                lines.append(f"  ... and {rows.height - most:,} more {title}")
        return "\n".join(lines)


def outcome(lake: Path, truth: Path) -> Outcome:
    """Compare the lake's verdicts with ``truth`` (a world's truth.csv)."""
    opened = open_lake(lake)
    scores = opened.frame("account_scores", as_="polars")
    accounts = pl.read_csv(truth, schema_overrides={"account_id": pl.String})
    joined = accounts.join(scores, on="account_id", how="inner").with_columns(
        pl.col("score_bits").fill_null(NO_SCORE)
    )
    label = (joined["label"] == 1).to_numpy()
    bits = joined["score_bits"].to_numpy()
    alert = pl.col("verdict") == "alert"
    bad = pl.col("label") == 1
    members = opened.frame("group_members", as_="polars").join(accounts, on="account_id")
    groups = (
        members.group_by("group_id")
        .agg(
            pl.len().alias("n"),
            (pl.col("label") == 1).mean().alias("purity"),
            pl.col("campaign").mode().sort().first().alias("campaign"),
            pl.col("archetype").mode().sort().first().alias("archetype"),
        )
        .join(
            opened.frame("groups", as_="polars").select("group_id", "score", "verdict", "kind"), on="group_id"
        )
        .sort("score", descending=True)
    )
    columns = [
        "account_id",
        "campaign",
        "archetype",
        "score",
        "conduct_score",
        "group_score",
        "verdict",
        "group_id",
    ]
    alerts = opened.query(
        "SELECT alert_id, severity, kind, subject_type, n_accounts, n_requests, round(score, 4) AS score, "
        "opened_day, title FROM alerts WHERE state = 'open' ORDER BY score DESC, n_accounts DESC",
        as_="polars",
    ).to_arrow()
    return Outcome(
        alerts=alerts,
        n_attackers=int(label.sum()),
        n_honest=int((~label).sum()),
        average_precision=float(average_precision_score(label, bits)) if label.any() else float("nan"),
        recall_at={s: recall_at(bits, label, s) for s in (0.001, 0.01)},
        misses=joined.filter(bad & ~alert).select(columns).sort("campaign", "account_id"),
        false_alerts=joined.filter(~bad & alert).select(columns).sort("score", descending=True),
        false_groups=groups.filter(alert & (pl.col("purity") < 0.5)).height,
        groups=groups,
    )
