"""Relations of a lake as frames: yesterday's state, what was known of accounts, figures that stay the same."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pyarrow as pa

from detector.lake.store import Store

#: Days before the day that a measurement may look back on.
DAYS_BEFORE = 7


def known_accounts(store: Store, day: date) -> str:
    """SQL of what was known of each account at the end of ``day``: the newest row that holds by then."""
    end = day + timedelta(days=1)
    return f"""(SELECT * EXCLUDE (file_id, line, rank) FROM (
        SELECT *, row_number() OVER (
            PARTITION BY account_id ORDER BY valid_from DESC NULLS LAST, file_id DESC, line DESC
        ) AS rank FROM {store.relation("accounts")} WHERE valid_from IS NULL OR valid_from < DATE '{end}'
    ) WHERE rank = 1)"""


def steady(figures: pl.DataFrame) -> pl.DataFrame:
    """Figures to 9 digits: parallel sums differ in the last bits, and a day run again must give the same rows.

    Rounding near the precision of a double would still leave one value in ten thousand astride of a boundary.
    """
    return figures.with_columns(pl.col(pl.Float64).round_sig_figs(9))


def state(store: Store, table: str, day: date) -> pl.DataFrame:
    """What was known the day before ``day`` (of the newest earlier run), without the partition column."""
    return frame(store.read(table, store.newest(table, before=day))).drop("day")


def dated(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """``frame`` with the partition column."""
    return frame.with_columns(pl.lit(day).alias("day"))


def frame(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as polars."""
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    return rows
