"""The add-one-file guides: their worked examples are taken out of the documents and run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from doc_pages import blocks

from detector.alert.sinks.webhook import sign
from detector.errors import ConfigError
from detector.ingest.formats import Format, Options
from detector.ingest.mapping import RecordMapper
from detector.ingest.splitting import Block
from features import compose
from features.spec import Measure, Tie


def guide(page: str, number: int = 0) -> ModuleType:
    """The Python block of a guide as a module."""
    _, code = list(blocks("python", page=page))[number]
    path = code.partition("\n")[0].removeprefix("# ")
    module = ModuleType(Path(path).stem)
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(code, page, "exec"), module.__dict__)  # noqa: S102 - our own document
    finally:
        del sys.modules[module.__name__]
    return module


def answers(plugin: Measure | Tie) -> bool:
    got = compose.run_on(plugin, plugin.example.tables)
    return bool(plugin.example.expect) and all(
        any(
            all(g[k] == pytest.approx(v) if isinstance(v, float) else g[k] == v for k, v in want.items())
            for g in got
        )
        for want in plugin.example.expect
    )


def test_the_measurement_of_the_guide_works() -> None:
    module = guide("docs/add-a-measurement.md")
    assert isinstance(module.MEASURE, Measure)
    assert module.MEASURE.name == module.__name__
    assert answers(module.MEASURE)


def test_the_tie_of_the_guide_works() -> None:
    module = guide("docs/add-a-tie.md")
    assert isinstance(module.TIE, Tie)
    assert module.TIE.name == module.__name__
    assert answers(module.TIE)


def test_the_format_of_the_guide_works() -> None:
    module = guide("docs/add-a-format.md")
    assert isinstance(module.FORMAT, Format)
    assert module.FORMAT.name == module.__name__
    line, wanted = module.EXAMPLE
    lines = pa.table({"line": pa.array([1, 2], pa.int64()), "text": pa.array([line, "{"], pa.large_string())})
    mapped = RecordMapper(module.FORMAT, "requests", Options()).map(Block(lines, []))
    (row,) = mapped.rows.to_dicts()
    assert {k: str(v) for k, v in row.items() if v is not None} == {"line": "1", **wanted}
    assert [r.reason for r in mapped.rejects] == ["not valid JSON"]


def test_the_sink_of_the_guide_works(tmp_path: Path) -> None:
    made: Any = guide("docs/add-a-sink.md").make("spool", {"folder": str(tmp_path)})
    assert made.send({"message": "one"}, key="a-1:1") == 1
    assert made.send({"message": "one"}, key="a-1:1") == 1
    assert [p.read_text() for p in tmp_path.iterdir()] == ['{"message":"one"}']
    with pytest.raises(ConfigError, match="known: folder"):
        guide("docs/add-a-sink.md").make("spool", {"floder": "x"})


def test_the_webhook_verification_of_the_docs_works() -> None:
    verify = guide("docs/alerts.md").__dict__["verify"]
    secret, body = b"s" * 32, b'{"message":"one"}'
    headers = {
        "webhook-id": "a-1:1",
        "webhook-timestamp": "1772323200",
        "webhook-signature": sign([b"o" * 32, secret], "a-1:1", 1772323200, body),
    }
    assert verify(secret, headers, body, now=1772323300.0)
    assert not verify(secret, headers, body + b" ", now=1772323300.0)
    assert not verify(b"x" * 32, headers, body, now=1772323300.0)
    assert not verify(secret, headers, body, now=1772324300.0), "too old"
