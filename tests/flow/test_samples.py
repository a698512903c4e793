"""The main job on the commonest real input: every sample log that ships, taken through the whole line."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ok

from detector import open_lake

FORMATS = Path(__file__).parents[2] / "sample_logs/formats"
SAMPLES = sorted(FORMATS.iterdir(), key=lambda p: p.name)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
def test_every_sample_is_ingested_and_run(sample: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    ok("ingest", sample, "--lake", lake)
    ok("run", "--lake", lake)
    opened = open_lake(lake)
    seen = opened.query("SELECT count(DISTINCT account_id) AS n FROM requests", as_="polars")["n"][0]
    assert seen > 1
    assert opened.query("SELECT count(*) AS n FROM account_scores", as_="polars")["n"][0] == seen
