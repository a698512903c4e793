"""Accounts of different populations never meet by array position: who shares no key has no code."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.link import communities
from detector.link.graph import EvidenceGraph
from detector.link.tabular import graph_of_rows
from detector.pipeline import window
from detector.score import relational, template_reuse

DAY = date(2026, 3, 2)
KINDS = {"card": "billing", "prefix": "network", "gram5": "content", "opening8": "content"}


def seen(
    ties: list[tuple[str, str, int]], *, population: int, organisations: list[int] | None = None
) -> EvidenceGraph:
    """The graph of a window. ``ties``: account, kind, key; ``organisations``: of each account by the number in its name."""
    rows = (
        pl.DataFrame(
            ties, schema={"account_id": pl.String, "kind": pl.String, "key": pl.UInt64}, orient="row"
        )
        .unique(maintain_order=True)
        .with_columns(
            pl.len().over("kind", "key").cast(pl.Int64).alias("n_sharing"),
            pl.col("kind").replace_strict(KINDS, return_dtype=pl.String).alias("family"),
            pl.lit(3, pl.Int64).alias("n"),
            pl.lit(3, pl.Int64).alias("n_prompts"),
            pl.lit(1.0).alias("asked_sum"),
            pl.lit(1, pl.Int64).alias("n_days"),
            pl.lit(5.0).alias("weight"),
        )
        .filter(pl.col("n_sharing") >= 2)
        .with_columns(
            pl.col("account_id").rank("dense").cast(pl.Int64).sub(1).alias("account"),
            pl.struct("kind", "key").rank("dense").cast(pl.Int64).sub(1).alias("code"),
        )
    )
    accounts = rows["account_id"].unique().sort()
    names = [f"o{organisations[int(a[1:])]}" for a in accounts] if organisations else accounts
    organisation = pl.Series(names, dtype=pl.String)
    volume = np.full(len(accounts), 9.0)
    return graph_of_rows(rows, accounts, organisation, volume, max(population, len(accounts)))


def found(of: EvidenceGraph) -> pl.DataFrame:
    text = template_reuse.content_incidence(of)
    assert set(template_reuse.measure_keys(of, text)["code"]) == set(text["code"])
    return window.group(of)


def alike(n: int) -> list[tuple[str, str, int]]:
    """``n`` accounts that draw on one stock of text, and two of whom share a card."""
    rng = np.random.default_rng(5)
    text = [
        (f"a{i:02}", kind, int(key))
        for i in range(n)
        for kind in ("gram5", "opening8")
        for key in rng.choice(12, size=8, replace=False)
    ]
    return [*text, ("a00", "card", 99), ("a01", "card", 99)]


@pytest.mark.parametrize("others", [0, 1, 7, 500])
def test_accounts_that_share_nothing_leave_the_groups_as_they_are_found(others: int) -> None:
    grouped = found(seen(alike(12), population=200 + others))
    assert len(grouped) >= 10
    assert grouped["label"].n_unique() == 1
    assert set(grouped["account_id"]) <= {f"a{i:02}" for i in range(12)}


@pytest.mark.parametrize("population", [1, 2, 30])
@pytest.mark.parametrize(
    "ties",
    [
        pytest.param([], id="nothing shared"),
        pytest.param([("a", "card", 1), ("b", "card", 1)], id="two accounts, one card"),
        pytest.param([("a", "gram5", 1), ("b", "gram5", 1)], id="two accounts, one phrase"),
        pytest.param(
            [("a", "card", 1), ("b", "card", 1), ("c", "prefix", 1), ("d", "prefix", 1)], id="pairs"
        ),
        pytest.param([("a", "card", 1), ("a", "gram5", 4)], id="keys of one account alone"),
    ],
)
def test_a_window_that_shares_next_to_nothing_has_no_groups(
    ties: list[tuple[str, str, int]], population: int
) -> None:
    assert found(seen(ties, population=population)).is_empty()


def test_evidence_is_what_a_plain_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever falls into one box: with a single one nothing is thrown away early, with many nearly all is."""
    of = seen(alike(12), population=200)
    half = pl.DataFrame({"account_id": of.accounts, "group_id": ["g", "h"] * (len(of.accounts) // 2)})
    rows = of.rows(np.arange(len(of)), "account", "code", "n_sharing")
    rows = rows.with_columns(half["group_id"].gather(rows["account"]).alias("group_id"))
    inside = rows.group_by("group_id", "code").agg(pl.len().alias("inside"), pl.col("n_sharing").first())
    wanted = inside.filter((pl.col("inside") >= 2) & (2 * pl.col("inside") >= pl.col("n_sharing")))
    found = window.evidence(of, half)
    assert 0 < len(wanted) < len(inside)
    assert (
        found.select("group_id", "code").unique().join(wanted, on=["group_id", "code"], how="anti").is_empty()
    )
    monkeypatch.setattr(window, "_BOXES", 1)
    assert window.evidence(of, half).sort("account", "code").equals(found.sort("account", "code"))


#: An account and a key it holds; organisations by account; which accounts are suspects.
TIE = st.tuples(st.integers(0, 9).map("a{:02}".format), st.sampled_from(sorted(KINDS)), st.integers(0, 4))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(TIE, max_size=60), st.lists(st.integers(0, 3), min_size=10, max_size=10), st.integers(0, 40))
def test_whatever_is_shared_is_grouped_and_weighed(
    ties: list[tuple[str, str, int]], organisations: list[int], population: int
) -> None:
    """Nobody linked, only the last key shared, one organisation: each has crashed a night somewhere."""
    of = seen(ties, population=population, organisations=organisations)
    grouped = found(of)
    assert set(grouped["account_id"]) <= set(of.accounts)
    bits = np.array(organisations[: of.n_holders], float) - 1.0
    measured = relational.measure(of.neighbours, 1 / (1 + np.exp2(-bits)))
    assert len(measured) == of.n_holders
    label = communities.find(of.neighbours, bits)
    assert len(label) == of.n_holders
    assert (label[bits < 0] < 0).all()
    members = grouped.select("account_id", pl.col("label").cast(pl.String).alias("group_id"))
    shown = window.evidence(of, members)
    assert (shown["n_sharing"] >= 2).all()
