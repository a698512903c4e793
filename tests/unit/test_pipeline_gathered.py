"""The window gathered: the same in one slice or many, as a plain loop would have it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import numpy as np
import polars as pl
import pytest

from detector.lake.rows import empty
from detector.lake.store import Store
from detector.pipeline import gathered

DAYS = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)]
KINDS = pl.Series(["address", "card", "gram5"])


def ties(day: date, seed: int) -> pl.DataFrame:
    """Some ties of a day, of two kinds that are known and one that no plug-in makes any more."""
    rng = np.random.default_rng(seed)
    n = 400
    rows = pl.DataFrame(
        {
            "account_id": [f"a{i}" for i in rng.integers(0, 60, n)],
            "kind": rng.choice(["card", "gram5", "gone"], n),
            "key": rng.integers(0, 1 << 62, 80)[rng.integers(0, 80, n)].astype(np.uint64),
            "n": rng.integers(1, 9, n),
            "n_prompts": rng.integers(1, 9, n),
            "asked_sum": rng.integers(0, 9, n) / 4,
        }
    ).unique(["account_id", "kind", "key"], maintain_order=True)
    missing = [
        pl.lit(None, t).alias(c) for c, t in empty("ties").schema.items() if c not in (*rows.columns, "day")
    ]
    return rows.with_columns(pl.lit(day).alias("day"), *missing).select(empty("ties").columns)


def plain(days: list[pl.DataFrame]) -> dict[tuple[str, str, int], tuple[int, int, float, int, int, int]]:
    held: dict[tuple[str, str, int], list[dict]] = defaultdict(list)
    for row in pl.concat(days).iter_rows(named=True):
        if row["kind"] in KINDS:
            held[row["account_id"], row["kind"], row["key"]].append(row)
    sharing: dict[tuple[str, int], int] = defaultdict(int)
    for _, kind, key in held:
        sharing[kind, key] += 1
    return {
        who: (
            sum(r["n"] for r in rows), sum(r["n_prompts"] for r in rows), sum(r["asked_sum"] for r in rows),
            len(rows), (DAYS[-1] - max(r["day"] for r in rows)).days, sharing[who[1:]],
        )
        for who, rows in held.items() if sharing[who[1:]] >= 2
    }  # fmt: skip


@pytest.mark.parametrize("most", [40, 10**6])
def test_a_window_is_gathered_as_a_plain_loop_gathers_it(
    store: Store, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "ROWS", most)
    days = [ties(day, seed) for seed, day in enumerate(DAYS)]
    for day, rows in zip(DAYS[:-1], days, strict=False):
        with store.transaction("run") as txn:
            txn.swap("ties", rows, day=day)
    store.engine.bind("ties_today", days[-1])
    found = gathered.gather(store, DAYS[:-1], KINDS, DAYS[-1])
    wanted = plain(days)
    rows = found.rows
    accounts, keys = found.accounts[rows["account"]], found.keys[rows["code"]]
    got = {
        (account, kind, key): tuple(row)
        for account, kind, key, row in zip(
            accounts, keys["kind"], keys["key"],
            rows.select("n", "n_prompts", "asked_sum", "n_days", "age", keys["n_sharing"]).iter_rows(), strict=True,
        )
    }  # fmt: skip
    assert got == wanted
    assert len(rows) == len(wanted) > 100
    assert found.accounts.is_sorted()
    assert found.keys.cast({"kind": pl.String}).equals(
        found.keys.sort("kind", "key").cast({"kind": pl.String})
    )
    assert rows.select("account", "code").equals(rows.select("account", "code").sort("account", "code"))


def test_nothing_is_gathered_of_nothing(store: Store) -> None:
    store.engine.bind("ties_today", empty("ties"))
    found = gathered.gather(store, [], KINDS, DAYS[-1])
    assert (len(found.rows), len(found.accounts), len(found.keys)) == (0, 0, 0)
