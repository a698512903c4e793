"""The walk through one score in docs/how-it-works.md is what the sample world gives, and every score adds up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from detector.bits import probability
from detector.lake.opened import OpenedLake, open_lake
from detector.link import partition
from detector.score import fusion
from tests.flow.conftest import ok

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-it-works.md"
ACCOUNT = "acct_50f6f"
WALK = re.compile(r"(?<=<!-- walk -->\n).*?(?=<!-- /walk -->)", re.DOTALL)


KEY = "6b" * 32


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedLake]:
    """The sample world under one key: sketches of prompts, and so the last digits of scores, hang on it."""
    lake = tmp_path_factory.mktemp("sample") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRAWATCH_KEY", KEY)
        ok("ingest", ROOT / "sample_logs" / "world", "--lake", lake)
        ok("run", "--lake", lake)
        yield open_lake(lake)


def contributions(lake: OpenedLake) -> pl.DataFrame:
    """Contributions of every subject on the day its score is of."""
    parts = pl.read_parquet(lake.root / "data" / "contributions" / "**" / "*.parquet", hive_partitioning=True)
    subjects = pl.concat(
        lake.frame(table, as_="polars").select(
            pl.lit(kind).alias("subject_type"),
            pl.col(f"{kind}_id").alias("subject_id"),
            pl.col("score_day").alias("day"),
            "verdict",
            "score",
            "score_bits",
        )
        for kind, table in (("account", "account_scores"), ("group", "groups"))
    )
    return parts.join(subjects, on=["subject_type", "subject_id", "day"], how="inner")


def test_contributions_add_up_to_every_score_worth_a_look(sample: OpenedLake) -> None:
    each = (
        contributions(sample)
        .group_by("subject_type", "subject_id")
        .agg(pl.col("bits").sum(), pl.col("score_bits", "score", "verdict").first(), pl.col("n").min())
    )
    assert (each["bits"] - each["score_bits"]).abs().max() == pytest.approx(0.0, abs=1e-9)
    summed = probability(each["bits"].to_numpy())
    assert summed == pytest.approx(each["score"].to_numpy())
    shown = sum(
        (sample.frame(table, as_="polars")["verdict"] != "clear").sum()
        for table in ("account_scores", "groups")
    )
    assert shown == (each["verdict"] != "clear").sum() > 30


def test_contributions_of_groups_say_what_they_rest_on(sample: OpenedLake) -> None:
    groups = contributions(sample).filter(
        (pl.col("subject_type") == "group") & (pl.col("feature") != "neighbours")
    )
    assert groups["n"].min() > 0


def test_the_walk_through_one_score_is_that_of_the_lake(
    sample: OpenedLake, golden: Callable[[Path, str], None]
) -> None:
    rows = contributions(sample).filter(pl.col("subject_id") == ACCOUNT).sort("bits", descending=True)
    lines = ["| contribution | value | bits | n |", "|---|--:|--:|--:|"]
    for part, value, bits, n in rows.select("feature", "value", "bits", "n").iter_rows():
        shown = "" if value is None else f"{value:.2f}"
        lines.append(f"| `{part}` | {shown} | {bits:+.2f} | {n} |")
    total, score = rows["bits"].sum(), rows["score"][0]
    lines.append(f"| **score** | {score:.4f} | **{total:+.2f}** | |")
    golden(PAGE, WALK.sub("\n".join(lines) + "\n", PAGE.read_text(encoding="utf-8")))


def test_code_and_page_carry_one_formula() -> None:
    begin, end = "    conduct       = ", "highest today of all days)"
    page, code = PAGE.read_text(encoding="utf-8"), fusion.__doc__ or ""
    assert code[code.index(begin) : code.index(end)] == page[page.index(begin) : page.index(end)]


def test_both_libraries_find_the_same_rings(sample: OpenedLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last day decided again with scikit-network in place of networkx is the same day."""
    asked = []
    by_scikit_network = partition._by_scikit_network
    monkeypatch.setattr(
        partition, "_by_networkx", lambda graph: asked.append(graph) or by_scikit_network(graph)
    )
    monkeypatch.setenv("HYDRAWATCH_KEY", KEY)
    before = sample.frame("runs", as_="polars").sort("day")
    last = before["day"][-1]
    ok("run", "--lake", sample.root, "--day", last)
    after = open_lake(sample.root).frame("runs", as_="polars").sort("day")
    assert asked, "no suspects: nothing was compared"
    assert after["output_digest"].to_list() == before["output_digest"].to_list()
