"""Proof on real spans: the OpenAI client, instrumented by OpenTelemetry, against a local stub server.

Everything in these spans is written by the published instrumentation and exporter, not by us; only the
SERVER span around each call, which a gateway would make, is ours. Wants the extra ``otel-proof``; skipped
without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from detector.ingest.formats import Options, formats
from detector.ingest.mapping import RecordMapper
from detector.ingest.reader import Reader
from detector.ingest.sources import find


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


_WANTED = ("openai", "opentelemetry.instrumentation.openai_v2", "opentelemetry.exporter.otlp.json.file")
pytestmark = pytest.mark.skipif(
    not all(map(_installed, _WANTED)), reason="wants the extra otel-proof (openai, opentelemetry)"
)

_CLIENT = """
import sys
import openai
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

base, path = sys.argv[1:]
provider = TracerProvider(resource=Resource.create({"service.name": "gateway"}))
provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(path)))
OpenAIInstrumentor().instrument(tracer_provider=provider)
client = openai.OpenAI(base_url=base, api_key="stub", max_retries=0)
tracer = provider.get_tracer("gateway")
talk = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "First question"},
    {"role": "assistant", "content": "First answer"},
    {"role": "user", "content": "Second question"},
]
tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}

def served(number, call):
    with tracer.start_as_current_span("POST /v1", kind=SpanKind.SERVER) as span:
        span.set_attribute("user.id", f"user-{number}")
        span.set_attribute("client.address", "192.0.2.7")
        span.set_attribute("user_agent.original", "sdk/1.0")
        try:
            call()
        except openai.RateLimitError:
            span.set_attribute("http.response.status_code", 429)

served(1, lambda: client.chat.completions.create(
    model="m-large", messages=talk, temperature=0.25, max_tokens=64, n=2, user="someone"))
served(2, lambda: list(client.chat.completions.create(
    model="m-large", messages=talk[:2], stream=True, stream_options={"include_usage": True})))
served(3, lambda: client.chat.completions.create(model="m-large", messages=talk[:2], tools=[tool]))
served(4, lambda: client.embeddings.create(model="m-embed", input="some text"))
served(5, lambda: client.chat.completions.create(model="m-limited", messages=talk[:2]))
provider.shutdown()
"""


class _Stub(BaseHTTPRequestHandler):
    """Answers as the API would, with fixed figures."""

    protocol_version = "HTTP/1.1"
    served: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = len(self.served) + 1
        self.served.append(self.path)
        base = {"id": f"chatcmpl-{number}", "created": 1793527200, "model": asked["model"] + "-2026-10-01"}
        usage = {"prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38}
        if asked["model"] == "m-limited":
            self._send(429, {"error": {"message": "slow down", "type": "rate_limit", "code": "rate_limit"}})
        elif self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            self._send(200, {"object": "list", "model": base["model"], "data": data,
                             "usage": {"prompt_tokens": 31, "total_tokens": 31}})  # fmt: skip
        elif asked.get("stream"):
            delta = {"index": 0, "delta": {"role": "assistant", "content": "Yes"}, "finish_reason": None}
            chunks: list[dict[str, Any]] = [
                {**base, "object": "chat.completion.chunk", "choices": [delta]},
                {**base, "object": "chat.completion.chunk",
                 "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                {**base, "object": "chat.completion.chunk", "choices": [], "usage": usage},
            ]  # fmt: skip
            text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
            self._send(200, text.encode(), "text/event-stream")
        else:
            message = {"role": "assistant", "content": "Yes"}
            choice = {"index": 0, "message": message, "finish_reason": "length"}
            self._send(200, {**base, "object": "chat.completion", "choices": [choice], "usage": usage})

    def _send(self, status: int, body: dict[str, Any] | bytes, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def stub() -> Iterator[str]:
    _Stub.served.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_of_the_real_instrumentation_are_read(stub: str, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    environment = os.environ | {
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, stub, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(_Stub.served) == 5

    [source] = find([path]).sources
    mapper = RecordMapper(formats()["otel"], "requests", Options())
    [found] = [mapper.map(block) for block in Reader(source)]
    assert found.rejects == []
    assert found.n_other == 5  # the SERVER spans
    rows = {row["account_id"]: row for row in found.rows.to_dicts()}
    assert sorted(rows) == [f"user-{n}" for n in range(1, 6)]
    assert {(r["source_ip"], r["user_agent"], r["pathway"]) for r in rows.values()} == {
        ("192.0.2.7", "sdk/1.0", "openai")
    }
    plain, streamed, tools, embedded, limited = (rows[f"user-{n}"] for n in range(1, 6))
    assert (plain["request_id"], plain["model"], plain["operation"]) == ("chatcmpl-1", "m-large", "chat")
    assert (plain["prompt"], plain["system_prompt"], plain["turn"]) == (
        "Second question",
        "You are terse.",
        2,
    )
    assert (plain["input_tokens"], plain["output_tokens"]) == (31, 7)
    assert (plain["temperature"], plain["max_tokens"], plain["n"]) == (0.25, 64, 2)
    assert (plain["status"], plain["finish_reason"]) == (200, "length")
    assert plain["latency_ms"] > 0
    assert plain["ts"].year >= 2026
    assert (streamed["prompt"], streamed["turn"], streamed["output_tokens"]) == ("First question", 1, 7)
    assert streamed["finish_reason"] == "stop"
    assert tools["prompt"] == "First question"
    assert (embedded["operation"], embedded["model"], embedded["input_tokens"]) == (
        "embeddings",
        "m-embed",
        31,
    )
    assert (limited["status"], limited["model"]) == (429, "m-limited")
