"""The canonical tables of a town, and the table of its truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from detector.lab.worlds import clock, market
from detector.lab.worlds.dress import REQUEST_SCHEMA
from detector.lab.worlds.spec import WorldSpec
from detector.lab.worlds.town import Town, moment
from features import schema
from features.types import TYPES

TRUTH = (
    "account_id", "label", "kind", "campaign", "group", "archetype", "evasion_level", "harvest_share", "n_requests",
    "framed",
)  # fmt: skip
_TEXT = pl.String


def account_table(town: Town) -> pl.DataFrame:
    """Every account in order of its number, with facts and truth."""
    return pl.DataFrame(
        town.accounts, strict=False, infer_schema_length=None,
        schema_overrides={"org_id": _TEXT, "payment_fingerprint": _TEXT, "payment_bin": _TEXT,
        "inviter": _TEXT},
    )  # fmt: skip


def whole(town: Town, table: pl.DataFrame) -> pl.DataFrame:
    """All requests in order of time: canonical columns, ``_account`` and ``_harvest``."""
    return _finish(town, table, pl.concat(town.frames))


def by_day(town: Town, table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The requests of each day in turn, read from the town's spool."""
    town.flush()
    parts = pl.scan_parquet(town.parts)
    for day in range(town.days):
        low, high = int(day * clock.DAY_S * 1e6), int((day + 1) * clock.DAY_S * 1e6)
        raw = parts.filter((pl.col("_us") >= low) & (pl.col("_us") < high)).collect()
        yield _finish(town, table, raw)


def _finish(town: Town, table: pl.DataFrame, raw: pl.DataFrame) -> pl.DataFrame:
    # A ban may be drawn after the account's traffic, so requests after it are dropped here.
    end = pl.Series(np.minimum(np.array(town.until_s), town.end_s) * 1e6)
    columns = [
        pl.col(c.name).cast(REQUEST_SCHEMA[c.name])
        if c.name in REQUEST_SCHEMA
        else pl.lit(None, TYPES[c.type].polars).alias(c.name)  # no synthetic client sets it
        for c in schema.CANONICAL
    ]
    facts = table.select("account_id", "org_id", "pathway").with_columns(_account=pl.int_range(len(table)))
    return (
        raw.with_columns(_end=end.gather(raw["_account"]))
        .filter((pl.col("_us") < pl.col("_end")) & (pl.col("_us") >= 0))
        .join(facts, on="_account", how="left", maintain_order="left")
        .with_columns(ts=pl.lit(town.start).cast(pl.Datetime("us")) + pl.duration(microseconds="_us"))
        .sort("ts", "request_id")
        .select(*columns, "_account", "_harvest")
    )


def count(requests: pl.DataFrame) -> pl.DataFrame:
    """Requests and harvest requests of each account."""
    return requests.group_by("_account").agg(pl.len().alias("n"), pl.col("_harvest").sum().alias("harvested"))


def truth_table(table: pl.DataFrame, counts: pl.DataFrame, spec: WorldSpec) -> pl.DataFrame:
    """One row for each account: what it is, and the share of its traffic that is harvest."""
    total = counts.group_by("_account").agg(pl.col("n").sum(), pl.col("harvested").sum())
    return (
        table.with_columns(_account=pl.int_range(len(table)), evasion_level=pl.lit(spec.evasion_level))
        .join(total, on="_account", how="left")
        .with_columns(
            n_requests=pl.col("n").fill_null(0),
            harvest_share=(pl.col("harvested") / pl.col("n")).fill_null(0.0).round(4),
        )
        .sort("account_id")
        .select(TRUTH)
    )


def accounts_of(table: pl.DataFrame, spec: WorldSpec) -> pl.DataFrame:
    """The accounts file: canonical columns, with ``keys`` as a struct of lists."""
    if "payment" in spec.missing:
        table = table.with_columns(
            pl.lit(None, dtype=_TEXT).alias(c) for c in ("payment_fingerprint", "payment_bin")
        )
    keys = pl.struct(
        pl.concat_list("phone_hash").alias("phone_hash"), pl.concat_list("inviter").alias("inviter")
    )
    full = table.with_columns(
        pl.col("created_at").cast(pl.Datetime("us")), keys=keys, status=pl.lit("active"),
        valid_from=pl.lit(None, dtype=pl.Datetime("us")),
    )  # fmt: skip
    full = full.select(c.name for c in schema.ACCOUNTS).sort("account_id")
    return full.clear() if "accounts" in spec.missing else full


def events_of(town: Town, table: pl.DataFrame, spec: WorldSpec) -> pl.DataFrame:
    """Account events in order of time."""
    ids = table["account_id"].to_list()
    rows = [
        (moment(town.start, at), ids[i], event) for at, i, event in sorted(town.events) if at < town.end_s
    ]
    kinds: dict[str, Any] = {"ts": pl.Datetime("us"), "account_id": _TEXT, "event": _TEXT}
    return pl.DataFrame([] if "accounts" in spec.missing else rows, schema=kinds, orient="row")


def releases_of(town: Town) -> pl.DataFrame:
    """Release time of each model."""
    rows = [
        (name, moment(town.start, -days * clock.DAY_S))
        for (name, _, _), days in zip(market.MODELS, market.RELEASED_BEFORE, strict=True)
    ]
    if np.isfinite(town.release_s):
        rows.append((market.NEW_MODEL, moment(town.start, town.release_s)))
    return pl.DataFrame(rows, schema={"model": _TEXT, "released_at": pl.Datetime("us")}, orient="row")


def without(requests: pl.DataFrame, spec: WorldSpec) -> pl.DataFrame:
    """The requests without the columns that this operator does not log."""
    blank = [
        *(["prompt", "system_prompt"] if "prompts" in spec.missing else []),
        *(["ja4"] * ("ja4" in spec.missing)),
    ]
    return requests.with_columns(pl.lit(None, dtype=_TEXT).alias(c) for c in blank)
