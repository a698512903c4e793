"""What the webhook does with receivers that hang, break off or talk nonsense, over real sockets."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import receivers
from receivers import FAILING, HANGING, good, receiving, status, trickle

from detector.alert import posting
from detector.alert.deliver import GIVE_UP_AFTER, Offer, Recorder, serve
from detector.alert.sink import Opened, open_sinks
from detector.alert.sinks.webhook import Webhook
from detector.errors import DeliveryError, EventRefused

EVENT = {"metadata": {"uid": "a-1:1"}, "message": "m"}
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
#: Deadline where it is to be met; more than a connection on this machine takes.
SHORT_S = 1.0
#: Deadline where it is not.
AMPLE_S = 30.0


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("NO_PROXY", "*")


def webhook(url: str, **settings: Any) -> Webhook:
    base = {"type": "webhook", "url": url, "secret_env": "HOOK", "timeout_s": AMPLE_S, "max_tries": 2}
    (opened,) = open_sinks([{**base, **settings}])
    assert isinstance(opened, Webhook)
    return replace(opened, sleep=lambda seconds: None)


@pytest.mark.parametrize("kind", HANGING)
def test_a_try_ends_at_its_deadline_whatever_drips(kind: str) -> None:
    with receiving(HANGING[kind]) as receiver, pytest.raises(DeliveryError, match=r"within 1 s") as raised:
        webhook(receiver.url, timeout_s=SHORT_S, max_tries=1).send(EVENT, key="k")
    assert raised.value.arrived, "it was sent, so the receiver may have it"


@pytest.mark.parametrize("kind", FAILING)
def test_every_failure_has_words_of_its_own(kind: str) -> None:
    answer, words = FAILING[kind]
    with receiving(answer) as receiver, pytest.raises(DeliveryError, match=words) as raised:
        webhook(receiver.url).send(EVENT, key="k")
    assert "secret" not in str(raised.value), "a path may hold one"
    assert not isinstance(raised.value, EventRefused)
    if kind == "redirect":
        assert "set the final URL" in str(raised.value)


def test_a_body_without_end_is_not_read() -> None:
    endless = trickle(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n")
    slow = trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x")
    for answer in (endless, slow):
        with receiving(answer) as receiver:
            assert webhook(receiver.url).send(EVENT, key="k") == 1


def test_a_receiver_that_does_not_read_is_cut_off() -> None:
    big = {"message": "x" * 30_000_000}
    with receiving(receivers.silent, read=False) as receiver, pytest.raises(DeliveryError, match="within"):
        webhook(receiver.url, max_tries=1, timeout_s=SHORT_S).send(big, key="k")


def test_nobody_there_and_no_such_host_and_bad_tls_differ() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    reasons = {}
    with pytest.raises(DeliveryError) as raised:
        webhook(f"http://127.0.0.1:{free}/x", max_tries=1).send(EVENT, key="k")
    reasons["refused"] = raised.value
    with pytest.raises(DeliveryError) as raised:
        webhook("https://no-such-host.invalid/x", max_tries=1).send(EVENT, key="k")
    reasons["unknown"] = raised.value
    with (
        receiving(receivers.raw(b"not tls at all\r\n\r\n" * 20), read=False) as receiver,
        pytest.raises(DeliveryError) as raised,
    ):
        webhook(receiver.url.replace("http:", "https:"), max_tries=1).send(EVENT, key="k")
    reasons["garbage"] = raised.value
    with receiving(receivers.dropped, read=False) as receiver, pytest.raises(DeliveryError) as raised:
        webhook(receiver.url.replace("http:", "https:"), max_tries=1).send(EVENT, key="k")
    reasons["closed"] = raised.value
    with (
        receiving(trickle(b"\x16\x03\x03\x20\x00", b"\x02"), read=False) as receiver,
        pytest.raises(DeliveryError) as raised,
    ):
        webhook(receiver.url.replace("http:", "https:"), max_tries=1, timeout_s=SHORT_S).send(EVENT, key="k")
    reasons["handshake"] = raised.value
    assert "connection refused" in reasons["refused"].message
    assert "unknown host no-such-host.invalid" in reasons["unknown"].message
    assert "TLS failed" in reasons["garbage"].message
    assert "during the handshake" in reasons["closed"].message
    assert "no end of the TLS handshake within" in reasons["handshake"].message
    assert not any(error.arrived for error in reasons.values()), "nothing of the event was sent"
    assert all("in 1 try: " in error.message for error in reasons.values())


def test_a_certificate_nobody_vouches_for_is_told(tls_receiver: str) -> None:
    with pytest.raises(DeliveryError, match="its certificate is not accepted") as raised:
        webhook(tls_receiver, max_tries=1).send(EVENT, key="k")
    assert not raised.value.arrived


@pytest.fixture
def tls_receiver(tmp_path: Path) -> Iterator[str]:
    """HTTPS with a certificate made by nobody."""
    import ssl
    import subprocess

    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    names = ["-keyout", str(tmp_path / "k"), "-out", str(tmp_path / "c")]
    try:
        subprocess.run([*made, *names], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            try:
                connection, _ = listening.accept()
                context.wrap_socket(connection, server_side=True)
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/x"


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 413, 415, 422, 451])
def test_a_final_refusal_is_no_outage(code: int) -> None:
    with receiving(status(code)) as receiver:
        with pytest.raises(EventRefused, match=f"HTTP {code}") as raised:
            webhook(receiver.url).send(EVENT, key="k")
        assert len(receiver.took) == 1
    assert not raised.value.arrived


@pytest.mark.parametrize("code", [408, 425, 429])
def test_what_may_pass_is_no_refusal(code: int) -> None:
    with receiving(status(code)) as receiver:
        with pytest.raises(DeliveryError) as raised:
            webhook(receiver.url).send(EVENT, key="k")
        assert len(receiver.took) == 2
    assert not isinstance(raised.value, EventRefused)


# -- several sinks at once -----------------------------------------------------------------------------------


def offers(n: int) -> list[Offer]:
    return [Offer(f"a-{i}", 1, f"a-{i}:1", {"metadata": {"uid": f"a-{i}:1"}}) for i in range(n)]


def test_a_hanging_sink_holds_up_no_other() -> None:
    with receiving(HANGING["100 Continue a moment"]) as bad, receiving(good) as fine:
        slow = webhook(bad.url, name="slow", timeout_s=SHORT_S, max_tries=1)
        quick = webhook(fine.url, name="quick")
        one, two = serve([(Opened(slow), offers(5)), (Opened(quick), offers(5))], Recorder())
    assert fine.keys == [o.key for o in offers(5)]
    assert (len(one.sent), len(one.failed), len(one.waiting)) == (0, GIVE_UP_AFTER, 2)
    assert len(two.sent) == 5


def test_sinks_are_served_at_the_same_time() -> None:
    served = threading.Event()

    class Waits:
        """Ends only once the other sink has got everything."""

        name = "waits"

        def send(self, event: Any, *, key: str) -> int:
            if not served.wait(AMPLE_S):
                raise DeliveryError("the other sink was not served meanwhile")
            return 1

    class Watch(Recorder):
        def sent(self, sink: str, done: Any) -> None:
            if done.offer.alert_id == "a-2":
                served.set()

    with receiving(good) as fine:
        reports = serve([(Opened(Waits()), offers(1)), (Opened(webhook(fine.url)), offers(3))], Watch())
    assert [(len(r.sent), r.failed) for r in reports] == [(1, []), (3, [])]


def test_a_sink_has_so_much_time_and_no_more() -> None:
    with receiving(receivers.silent) as bad:
        slow = webhook(bad.url, timeout_s=60, max_tries=50)
        (report,) = serve([(Opened(slow, deadline_s=0.5), offers(4))], Recorder())
    assert report.fault
    assert "0.5 s" in report.fault
    assert report.n_missing == 4
    assert {o.offer.alert_id for o in report.failed} | {o.alert_id for o in report.waiting} == {
        f"a-{i}" for i in range(4)
    }


def test_a_third_partys_sink_that_never_returns_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.alert.deliver._GRACE_S", 0.05)
    never = threading.Event()

    class Stuck:
        name = "stuck"

        def send(self, event: Any, *, key: str) -> int:
            never.wait()
            return 1

    lost: list[tuple[str, bool]] = []

    class Watch(Recorder):
        def failed(self, sink: str, done: Any) -> None:
            lost.append((done.offer.alert_id, done.arrived))

    with receiving(good) as fine:
        stuck, other = serve(
            [(Opened(Stuck(), deadline_s=0.2), offers(3)), (Opened(webhook(fine.url)), offers(3))], Watch()
        )
    never.set()
    assert stuck.n_missing == 3
    assert lost == [("a-0", True)], "the one in flight may have arrived"
    assert len(other.sent) == 3


def some(forbidden: set[str], code: int) -> receivers.Answer:
    def answer(receiver: receivers.Receiver, request: receivers.Request, connection: socket.socket) -> None:
        status(code if request.key in forbidden else 204)(receiver, request, connection)

    return answer


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413])
def test_events_refused_for_good_block_none_of_the_others(code: int) -> None:
    first = {f"a-{i}:1" for i in range(5)}
    with receiving(some(first, code)) as receiver:
        (report,) = serve([(Opened(webhook(receiver.url)), offers(12))], Recorder())
    assert len(report.sent) == 7
    assert [o.offer.key for o in report.refused] == sorted(first)
    assert (report.failed, report.waiting, report.fault) == ([], [], None)


@pytest.mark.parametrize("code", [401, 404, 410])
def test_a_refusal_of_address_or_credentials_is_not_the_events_while_nothing_is_taken(code: int) -> None:
    with receiving(status(code)) as receiver:
        (report,) = serve([(Opened(webhook(receiver.url)), offers(1))], Recorder())
    assert (len(report.failed), report.refused) == (1, []), "mended, the sink gets it"


def test_a_sink_that_refuses_everything_is_at_fault_itself() -> None:
    told: list[str] = []

    class Watch(Recorder):
        def refused(self, sink: str, done: Any) -> None:
            told.append(done.offer.alert_id)

    with receiving(status(403)) as receiver:
        (report,) = serve([(Opened(webhook(receiver.url)), offers(6))], Watch())
    assert (told, report.refused) == ([], [])
    assert len(report.failed) == 6
    assert "refuses every event" in str(report.fault)
    with receiving(status(403)) as receiver:
        (report,) = serve([(Opened(webhook(receiver.url)), offers(1))], Watch())
    assert (told, len(report.failed)) == ([], 1), "a night has often but one alert, which must not be lost"


def test_the_loop_of_a_try_ends_with_it() -> None:
    before = threading.active_count()
    with receiving(good) as receiver:
        for _ in range(20):
            webhook(receiver.url).send(EVENT, key="k")
    assert threading.active_count() <= before + 2
    assert posting.tls() is posting.tls()
