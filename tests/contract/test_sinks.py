"""What holds for every sink found, and what each shipped one promises on the wire."""

from __future__ import annotations

import base64
import inspect
import json
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from detector.alert import sink as sink_module
from detector.alert.sink import SINKS, Sink, open_sinks
from detector.alert.sinks.jsonl import Jsonl
from detector.alert.sinks.webhook import Webhook, retry_after, sign
from detector.errors import ConfigError, DeliveryError

EVENT = {"metadata": {"uid": "a-1:1"}, "message": "Größe 数 </script>", "score": 0.5}
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()

#: A working configuration of each shipped sink; a new sink adds its own.
EXAMPLES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "jsonl": lambda tmp: {"path": str(tmp / "alerts.jsonl")},
    "webhook": lambda tmp: {"url": "https://siem.example.com/in", "secret_env": "HOOK"},
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("HOOK_NEXT", OTHER)


# -- every sink ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SINKS)
def test_every_sink_keeps_the_contract(kind: str, tmp_path: Path) -> None:
    module = import_module(SINKS[kind])
    assert module.__doc__
    assert list(inspect.signature(module.make).parameters) == ["name", "settings"]
    settings = EXAMPLES[kind](tmp_path) if kind in EXAMPLES else {}
    opened = module.make("mine", MappingProxyType(settings))
    assert opened.name == "mine"
    assert inspect.signature(opened.send).parameters["key"].kind is inspect.Parameter.KEYWORD_ONLY
    with pytest.raises(ConfigError, match=r"no_such_setting.*known: "):
        module.make("mine", {**settings, "no_such_setting": 1})


def test_the_registry_holds_every_file_and_imports_none_early() -> None:
    folder = Path(inspect.getfile(import_module("detector.alert.sinks"))).parent
    assert set(SINKS) >= {p.stem for p in folder.glob("*.py")} - {"__init__"}
    assert "httpx" not in inspect.getsource(sink_module)


def test_no_configuration_is_json_lines_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    (opened,) = open_sinks([])
    assert opened.name == "jsonl"
    assert opened.send(EVENT, key="a-1:1") == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [EVENT]


def test_opening_names_and_order(tmp_path: Path) -> None:
    entries = [
        {"type": "webhook", "url": "https://siem.example.com", "secret_env": "HOOK", "name": "siem"},
        {"type": "jsonl", "path": str(tmp_path / "a")},
        {"type": "jsonl", "path": "-", "name": "screen"},
    ]
    assert [s.name for s in open_sinks(entries)] == ["siem", "jsonl", "screen"]
    assert entries[0]["type"] == "webhook", "the configuration is not eaten"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"type": "pigeon"}], r"unknown sink type 'pigeon'; known: jsonl, webhook"),
        ([{"path": "x"}], r"unknown sink type None"),
        ([{"type": "jsonl"}, {"type": "jsonl"}], r"two sinks are named 'jsonl'"),
        ([{"type": "jsonl", "name": ""}], r"name must be a string"),
        ([{"type": "jsonl", "name": 3}], r"name must be a string"),
        ([{"type": "jsonl", "path": 3}], r"path must be str, found int"),
    ],
)
def test_bad_configurations_say_what_is_wrong(entries: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_sinks(entries)


# -- jsonl ---------------------------------------------------------------------------------------------------


def test_jsonl_appends_whole_lines_and_nobody_else_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    before = os.umask(0)
    try:
        opened = Jsonl("j", path)
        for i in range(3):
            assert opened.send({**EVENT, "i": i}, key=f"a-{i}:1") == 1
    finally:
        os.umask(before)
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line)["i"] for line in lines[:-1]] == [0, 1, 2]
    assert lines[-1] == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_jsonl_ends_a_line_that_a_crash_left_half(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"half":')
    Jsonl("j", path).send(EVENT, key="k")
    assert path.read_bytes().split(b"\n")[0] == b'{"half":'
    assert json.loads(path.read_bytes().split(b"\n")[1]) == EVENT


def test_jsonl_that_cannot_write_fails_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match="cannot write k") as raised:
        Jsonl("j", tmp_path / "file" / "alerts.jsonl").send(EVENT, key="k")
    assert "alerts.jsonl" in str(raised.value)


def test_jsonl_writes_a_line_break_in_an_id_inside_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    Jsonl("j", path).send({"id": "a\nb\u2028c\x1b[0m"}, key="k")
    assert len(path.read_bytes().splitlines()) == 1
    assert b"\x1b" not in path.read_bytes()


# -- webhook -------------------------------------------------------------------------------------------------


class Far:
    """A receiver that answers as told, a clock that moves only when somebody sleeps."""

    def __init__(self, *answers: int | httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = NOW

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer) if isinstance(answer, int) else answer

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def sink(self, **settings: Any) -> Webhook:
        (opened,) = open_sinks(
            [
                {
                    "type": "webhook",
                    "url": "https://siem.example.com/T0/hidden?k=v",
                    "secret_env": "HOOK",
                    **settings,
                }
            ]
        )
        assert isinstance(opened, Webhook)
        return replace(
            opened,
            transport=httpx.MockTransport(self.handle),
            clock=lambda: self.now,
            sleep=self.sleep,
            rng=random.Random(5),
        )


def limited(status: int, value: str) -> httpx.Response:
    return httpx.Response(status, headers={"retry-after": value})


def test_webhook_posts_the_event_once_with_its_key() -> None:
    far = Far(200)
    assert far.sink().send(EVENT, key="a-1:1") == 1
    (request,) = far.requests
    assert (request.method, str(request.url)) == ("POST", "https://siem.example.com/T0/hidden?k=v")
    assert json.loads(request.content) == EVENT
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "a-1:1"
    assert request.headers["webhook-timestamp"] == str(int(NOW))
    assert far.slept == []


def test_the_signature_is_that_of_the_reference_library() -> None:
    body = json.dumps(EVENT)
    theirs = Receiver(SECRET).sign("a-1:1", datetime.fromtimestamp(int(NOW), UTC), body)
    assert sign([b"s" * 32], "a-1:1", int(NOW), body.encode()) == theirs


def test_the_reference_library_accepts_what_is_sent_and_nothing_altered() -> None:
    far = Far()
    far.now = datetime.now(UTC).timestamp()  # the library compares with the real time
    far.sink().send(EVENT, key="a-1:1")
    (request,) = far.requests
    headers = dict(request.headers)
    assert Receiver(SECRET).verify(request.content, headers) == EVENT
    for body, changed in (
        (request.content.replace(b"0.5", b"0.1"), {}),
        (request.content, {"webhook-id": "a-2:1"}),
        (request.content, {"webhook-timestamp": str(int(far.now) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Receiver(SECRET).verify(body, headers | changed)
    with pytest.raises(WebhookVerificationError):
        Receiver(OTHER).verify(request.content, headers)


def test_two_secrets_let_a_receiver_hold_either() -> None:
    far = Far()
    far.now = datetime.now(UTC).timestamp()
    far.sink(secret_env=["HOOK", "HOOK_NEXT"]).send(EVENT, key="k")
    (request,) = far.requests
    assert len(request.headers["webhook-signature"].split()) == 2
    for secret in (SECRET, OTHER):
        assert Receiver(secret).verify(request.content, dict(request.headers)) == EVENT


@pytest.mark.parametrize(
    "first", [500, 502, 503, 599, 408, 425, 429, httpx.ConnectTimeout("x"), httpx.ReadError("x")]
)
def test_what_may_pass_is_tried_again_signed_anew(first: int | Exception) -> None:
    far = Far(first, 200)
    assert far.sink().send(EVENT, key="k") == 2
    one, two = far.requests
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.content == two.content
    assert 0.5 <= far.slept[0] <= 1
    assert far.sink().send(EVENT, key="k2") == 1
    late = Far(first, limited(503, "30"), 200)
    late.sink().send(EVENT, key="k")
    times = [int(r.headers["webhook-timestamp"]) for r in late.requests]
    assert times[2] >= times[1] + 30
    assert len({r.headers["webhook-signature"] for r in late.requests}) > 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 301, 302, 307, 308])
def test_what_cannot_pass_is_final(status: int) -> None:
    far = Far(httpx.Response(status, headers={"location": "https://example.net/other"}))
    with pytest.raises(DeliveryError, match=f"HTTP {status}"):
        far.sink().send(EVENT, key="k")
    assert len(far.requests) == 1, "no second try, no redirect followed"
    assert far.slept == []


def test_waits_double_with_chance_and_end() -> None:
    far = Far(*[500] * 20)
    with pytest.raises(DeliveryError, match="in 10 tries, last HTTP 500"):
        far.sink(max_tries=10).send(EVENT, key="k")
    assert len(far.requests) == 10
    assert len(far.slept) == 9, "no wait after the last try"
    for i, waited in enumerate(far.slept):
        whole = min(2.0**i, 60)
        assert whole / 2 <= waited <= whole
    assert len({round(w / min(2.0**i, 60), 6) for i, w in enumerate(far.slept)}) > 5, "waits are spread"


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    date = format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=90), usegmt=True)
    for value, wanted in (("45", 45), (date, 90)):
        far = Far(limited(429, value), 200)
        assert far.sink().send(EVENT, key="k") == 2
        assert far.slept == [pytest.approx(wanted)]
    quick = Far(limited(503, "0"), 200)
    quick.sink().send(EVENT, key="k")
    assert quick.slept[0] >= 0.5, "less than our own wait is not obeyed"


def test_a_wait_too_long_is_left_for_the_next_round() -> None:
    far = Far(limited(429, "86400"))
    with pytest.raises(DeliveryError, match="asked to wait 86400 s"):
        far.sink().send(EVENT, key="k")
    assert far.slept == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        (" 7 ", 7.0),
        ("9" * 400, 999_999_999.0),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 12:01:00 -0000", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 99 Mar 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after_values(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_nothing_secret_reaches_messages_or_reprs() -> None:
    far = Far(403)
    opened = far.sink()
    with pytest.raises(DeliveryError) as raised:
        opened.send(EVENT, key="k")
    for text in (str(raised.value), repr(raised.value)):
        assert "hidden" not in text
        assert "k=v" not in text
    assert "ssss" not in repr(opened)
    assert "https://siem.example.com" in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either url or url_env"),
        ({"url": "https://a.example.com", "url_env": "X"}, "either url or url_env"),
        ({"url_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"url": "http://siem.example.com"}, "plain http to siem.example.com"),
        ({"url": "http://127.0.0.1.example.com"}, "plain http"),
        ({"url": "http://localhost.example.com"}, "plain http"),
        ({"url": "http://192.0.2.1"}, "plain http"),
        ({"url": "ftp://a.example.com"}, "begins with https"),
        ({"url": "https://"}, "names a host"),
        ({"url": "siem.example.com"}, "begins with https"),
        ({"url": "https://u:p@a.example.com"}, "no user or password"),
        ({"url": "https://a.example.com:notaport"}, "not a URL"),
        ({"url": "https://a.example.com", "secret_env": None}, "secret_env must name"),
        ({"url": "https://a.example.com", "secret_env": []}, "secret_env must name"),
        ({"url": "https://a.example.com", "secret_env": [3]}, "secret_env must name"),
        ({"url": "https://a.example.com", "secret_env": "NOT_SET"}, "NOT_SET is not set"),
        ({"url": "https://a.example.com", "secret": SECRET}, "must not stand in the file"),
        ({"url": "https://a.example.com", "max_tries": 0}, "max_tries needs 1 or more"),
        ({"url": "https://a.example.com", "timeout_s": 0}, "timeout_s more than 0"),
        ({"url": "https://a.example.com", "timeout_s": True}, "timeout_s must be int or float"),
        ({"url": "https://a.example.com", "max_tries": "5"}, "max_tries must be int"),
        ({"url": "https://a.example.com", "verify": False}, "unknown setting verify"),
    ],
)
def test_settings_are_refused_with_a_reason(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_sinks([{"type": "webhook", "secret_env": "HOOK", **settings}])


@pytest.mark.parametrize(
    "value", ["", "plain", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_")]
)
def test_bad_secrets_are_refused_without_being_repeated(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", value)
    with pytest.raises(ConfigError, match="HOOK") as raised:
        open_sinks([{"type": "webhook", "url": "https://a.example.com", "secret_env": "HOOK"}])
    assert not value or value not in str(raised.value).replace("must hold whsec_", "").replace(
        "echo whsec_", ""
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://[::1]:9/x", "http://localhost:9/x"])
def test_plain_http_is_taken_for_this_machine(url: str) -> None:
    assert open_sinks([{"type": "webhook", "url": url, "secret_env": "HOOK"}])


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A real HTTP server on this machine that refuses the first request and takes the next."""
    taken: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(503 if len(taken) == 1 else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/hook", taken
        running.shutdown()
        thread.join()


def test_webhook_over_a_real_socket(
    server: tuple[str, list[tuple[dict[str, str], bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url, taken = server
    monkeypatch.setenv("HOOK_URL", url)
    (opened,) = open_sinks([{"type": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK"}])
    assert isinstance(opened, Webhook)
    patient: Sink = replace(opened, sleep=lambda seconds: None)
    assert patient.send(EVENT, key="a-1:1") == 2
    for headers, body in taken:
        assert Receiver(SECRET).verify(body, headers) == EVENT
    assert taken[0][0]["webhook-id"] == taken[1][0]["webhook-id"] == "a-1:1"
