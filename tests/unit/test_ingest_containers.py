"""Container runtimes' lines: unwrapped, put together per stream, each record once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from detector.ingest.reader import Reader
from detector.ingest.sources import find
from detector.ingest.splitting import Reject

ROWS = [{"request_id": f"r-{n}", "prompt": "x" * n * 7 + '"\\{'} for n in range(60)]


def read(path: Path, data: str, **sizes: int) -> tuple[list[tuple[int, str]], list[Reject]]:
    path.write_text(data)
    [source] = find([path]).sources
    entries: list[tuple[int, str]] = []
    rejects: list[Reject] = []
    for block in Reader(source, **sizes):
        lines = block.lines
        entries += zip(lines.column("line").to_pylist(), lines.column("text").to_pylist(), strict=True)
        rejects += block.rejects
    return entries, rejects


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


def cri(text: str, size: int, stream: str = "stdout") -> list[str]:
    parts = pieces(text, size)
    return [
        f"2026-03-01T00:00:00.{at}Z {stream} {'F' if at == len(parts) - 1 else 'P'} {part}"
        for at, part in enumerate(parts)
    ]


def docker(text: str, size: int, stream: str = "stdout") -> list[str]:
    return [
        json.dumps({"log": part, "stream": stream, "time": "2026-03-01T00:00:00Z"})
        for part in pieces(text + "\n", size)
    ]


@pytest.mark.parametrize("wrap", [cri, docker], ids=["cri", "docker"])
@pytest.mark.parametrize("size", [11, 100, 16_384])
@pytest.mark.parametrize("block_bytes", [200, 1 << 20])
def test_pieces_are_put_together_under_the_number_of_the_first(
    tmp_path: Path, wrap: object, size: int, block_bytes: int
) -> None:
    lines: list[str] = []
    starts = []
    for row in ROWS:
        starts.append(len(lines) + 1)
        lines += wrap(json.dumps(row), size)  # type: ignore[operator]
    entries, rejects = read(tmp_path / "0.log", "\n".join(lines) + "\n", block_bytes=block_bytes)
    assert [json.loads(text) for _, text in entries] == ROWS
    assert [number for number, _ in entries] == starts
    assert not rejects


@pytest.mark.parametrize("wrap", [cri, docker], ids=["cri", "docker"])
@pytest.mark.parametrize("seed", range(5))
def test_streams_do_not_mix_and_every_record_comes_once(tmp_path: Path, wrap: object, seed: int) -> None:
    rng = random.Random(seed)
    waiting = {
        "stdout": [line for row in ROWS for line in wrap(json.dumps(row), 50)],  # type: ignore[operator]
        "stderr": [line for n in range(30) for line in wrap(f"[info] words {n} " * 9, 40, "stderr")],  # type: ignore[operator]
    }
    lines = []
    while any(waiting.values()):
        stream = rng.choice([s for s, left in waiting.items() if left])
        lines.append(waiting[stream].pop(0))
    entries, rejects = read(
        tmp_path / "0.log", "\n".join(lines), block_bytes=rng.choice([100, 3000, 1 << 20])
    )
    texts = [text for _, text in entries]
    assert [json.loads(t) for t in texts if t.startswith("{")] == ROWS
    assert sum(t.startswith("[info]") for t in texts) == 30
    assert len(entries) + len(rejects) == 90


def test_what_no_runtime_wrote_is_handed_on_and_an_unended_record_is_kept(tmp_path: Path) -> None:
    lines = [
        *cri('{"a": 1}', 99),
        "plain words",
        '{"b": 2}',
        *cri("", 9),
        *cri('{"c": 3}', 99),
        cri('{"d": 4}', 4)[0],
    ]
    entries, rejects = read(tmp_path / "0.log", "\n".join(lines))
    assert entries == [(1, '{"a": 1}'), (2, "plain words"), (3, '{"b": 2}'), (5, '{"c": 3}'), (6, '{"d"')]
    assert [(r.line, r.code) for r in rejects] == [(4, "blank")]


def test_a_record_over_the_limit_costs_only_itself(tmp_path: Path) -> None:
    lines = [*cri('{"a": 1}', 99), *cri('{"b": "' + "x" * 5000 + '"}', 100), *cri('{"c": 3}', 99)]
    entries, rejects = read(tmp_path / "0.log", "\n".join(lines), max_line=1000)
    assert [text for _, text in entries] == ['{"a": 1}', '{"c": 3}']
    assert [(r.line, r.code, r.n_bytes) for r in rejects] == [(2, "too_long", 5009)]
