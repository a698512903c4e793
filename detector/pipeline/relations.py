"""What measurements may read on a day, and the running of a grain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
import pyarrow as pa

import rules
from detector.lake.store import Store
from detector.lake.tables import tables
from features import compose, plugins
from features.schema import ELICITATION_KINDS

#: Days before the day that a measurement may look back on.
DAYS_BEFORE = 7

_BOUND = (
    "requests", "requests_before", "accounts", "account_events", "model_releases", "hosting_asns",
    "account_days", "members", "ties",
)  # fmt: skip


def bind(store: Store, day: date, skipped: list[tuple[str, str]] | None = None) -> dict[str, frozenset[str]]:
    """Bind what measurements may read, as it was known at the end of ``day``; say what holds values.

    Content that is only a placeholder is taken as not known; ``skipped`` is told.
    """
    end = day + timedelta(days=1)
    before = [d for d in store.days("requests") if day - timedelta(days=DAYS_BEFORE) <= d < day]
    engine = store.engine
    placeholders = _placeholders(store, day)
    if placeholders and skipped is not None:
        shown = ", ".join(f"{p:016x}" for p in placeholders)
        skipped.append(
            (
                "content",
                f"nearly every account sends the same prompt (prompt_hash {shown}): a placeholder, not measured",
            )
        )
    engine.bind("requests", _without(store.relation("requests", [day]), placeholders))
    engine.bind("requests_before", _without(store.relation("requests", before), placeholders))
    engine.materialise(
        "accounts",
        known_accounts(store, day),
    )
    engine.materialise(
        "account_events",
        f"(SELECT DISTINCT ts, account_id, event FROM {store.relation('account_events')} WHERE ts < DATE '{end}')",
    )
    engine.materialise(
        "model_releases",
        f"""(SELECT model, min(released_at) AS released_at FROM {store.relation("model_releases")}
        WHERE released_at < DATE '{end}' GROUP BY model)""",
    )
    engine.bind("hosting_asns", hosting_asns())
    return {name: filled(store, name) for name in _BOUND[:6]}


#: A prompt that this share of a day's accounts with prompts sends, of at least so many, is a gateway's word for content
#: it does not log. Digits are masked before a prompt is hashed, so a word with a length in it counts as one.
PLACEHOLDER_SHARE, PLACEHOLDER_ACCOUNTS = 0.9, 10


def _placeholders(store: Store, day: date) -> list[int]:
    """Hashes of prompts that nearly every account of the day sends."""
    relation = store.relation("requests", [day])
    found = store.engine.query(
        f"""
        SELECT prompt_hash, count(DISTINCT account_id) AS n,
            (SELECT count(DISTINCT account_id) FROM {relation} WHERE prompt_hash IS NOT NULL) AS n_all
        FROM {relation} WHERE prompt_hash IS NOT NULL GROUP BY prompt_hash
        HAVING n >= {PLACEHOLDER_ACCOUNTS} AND n >= {PLACEHOLDER_SHARE} * n_all
        ORDER BY prompt_hash
        """,
        of="placeholders",
    )
    return [int(h) for h in found.column("prompt_hash").to_pylist()]


def known_accounts(store: Store, day: date) -> str:
    """SQL of what was known of each account at the end of ``day``: the newest row that holds by then."""
    end = day + timedelta(days=1)
    return f"""(SELECT * EXCLUDE (file_id, line, rank) FROM (
        SELECT *, row_number() OVER (
            PARTITION BY account_id ORDER BY valid_from DESC NULLS LAST, file_id DESC, line DESC
        ) AS rank FROM {store.relation("accounts")} WHERE valid_from IS NULL OR valid_from < DATE '{end}'
    ) WHERE rank = 1)"""


#: What is measured of a prompt, and so not known where the prompt is a placeholder.
_OF_PROMPT = (
    "prompt_chars", "prompt_words", "prompt_lines", "prompt_hash", "template_id", "prompt_sketch", "content_keys",
    "elicitation_score", *(f"elicit_{kind}" for kind in ELICITATION_KINDS), "capability", "language",
)  # fmt: skip


def _without(relation: str, placeholders: list[int]) -> str:
    """SQL of ``relation`` with what was measured of placeholders as NULL."""
    if not placeholders:
        return relation
    listed = ", ".join(f"{p}::UBIGINT" for p in placeholders)
    replaced = ", ".join(f"CASE WHEN is_placeholder THEN NULL ELSE {c} END AS {c}" for c in _OF_PROMPT)
    return f"""(SELECT * EXCLUDE (is_placeholder) REPLACE ({replaced}) FROM (
        SELECT *, coalesce(prompt_hash IN ({listed}), false) AS is_placeholder FROM {relation}))"""


def filled(store: Store, name: str) -> frozenset[str]:
    """Columns of a bound relation that hold at least one value, of those that a plug-in may be skipped for.

    Only these are looked at: counting every column of the days before costs half of what measuring does.
    """
    held = {r["column_name"] for r in store.engine.query(f"DESCRIBE {name}").to_pylist()}
    columns = sorted(held & plugins.needed(name))
    if not columns:
        return frozenset()
    counted = store.engine.query(
        "SELECT " + ", ".join(f'count("{c}") AS "{c}"' for c in columns) + f" FROM {name}"
    )
    return frozenset(c for c, n in counted.to_pylist()[0].items() if n)


def hosting_asns() -> pa.Table:
    """Operators that rent out machines, as the shipped list has them."""
    raw = json.loads(rules.read_bytes("allowlists/hosting_asns.json"))
    return pa.table({"asn": pa.array([int(entry["asn"]) for entry in raw["asns"]], pa.int64())})


def measure(
    store: Store,
    grain: plugins.Grain,
    available: Mapping[str, frozenset[str]],
    skipped: list[tuple[str, str]],
) -> pl.DataFrame:
    """Every measurement of a grain for the bound day, one row a key; what had to be skipped is added to ``skipped``."""
    assert grain in ("account", "group")
    measures = plugins.measures(grain)
    # Measurements of accounts read the same few counts; those of groups have nothing in common but what each would then
    # wait for the others with: in one statement they need the memory of all.
    each = [measures] if grain == "account" else [(measure,) for measure in measures]
    found: pl.DataFrame | None = None
    for some in each:
        composed = compose.compose(some, available=available)
        skipped += composed.skipped
        part = frame(store.engine.query(composed.sql, of=f"{grain} measurements"))
        found = part if found is None else found.join(part, on=part.columns[0], how="left")
    assert found is not None
    return steady(found).sort(found.columns[0])


def ties(
    store: Store, day: date, available: Mapping[str, frozenset[str]], skipped: list[tuple[str, str]]
) -> pl.DataFrame:
    """The table ``ties`` of the bound day; each plug-in is a statement, so that memory is the largest one's."""
    found = []
    for tie in plugins.ties():
        composed = compose.compose_ties([tie], available=available)
        skipped += composed.skipped
        found.append(steady(frame(store.engine.query(composed.sql, of="ties"))))
    return (
        pl.concat(found)
        .select(pl.lit(day).alias("day"), *[n for n in tables()["ties"].names if n != "day"])
        .sort("account_id", "kind", "key")
    )


def steady(found: pl.DataFrame) -> pl.DataFrame:
    """Figures to 9 digits: parallel sums differ in the last bits, and a day run again must give the same rows.

    Rounding near the precision of a double would still leave one value in ten thousand astride of a boundary.
    """
    return found.with_columns(pl.col(pl.Float64).round_sig_figs(9))


def unbind(store: Store) -> None:
    """Forget what a run had bound."""
    for name in _BOUND:
        store.engine.unbind(name)


def state(store: Store, table: str, day: date) -> pl.DataFrame:
    """What was known the day before ``day`` (of the newest earlier run), without the partition column."""
    return frame(store.read(table, store.newest(table, before=day))).drop("day")


def dated(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """``frame`` with the partition column."""
    return frame.with_columns(pl.lit(day).alias("day"))


def frame(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as polars."""
    made = pl.from_arrow(table)
    assert isinstance(made, pl.DataFrame)
    return made
