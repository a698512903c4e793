"""One POST within one deadline, and plain words for every way in which it can fail.

A time-out that starts anew with every byte does not help: a receiver that sends a byte, a header or "100 Continue"
every second would hold its sender for ever. Here one deadline covers the whole try, from the look-up of the host to the
last header of the answer. The body of an answer is never read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from detector.alert.clean import clean


@dataclass(frozen=True)
class Answer:
    """A receiver's answer: its status, and the headers ``retry-after`` and ``location`` if it sent them."""

    status: int
    retry_after: str | None
    location: str | None


class NoAnswer(Exception):
    """No complete answer came. ``arrived``: the receiver may have the event nevertheless."""

    def __init__(self, reason: str, *, arrived: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.arrived = arrived


@dataclass
class _Progress:
    """How far a try has come, from the trace events of the connection."""

    met: set[str] = field(default_factory=set)
    stream: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        step = event.partition(".")[2]
        self.met.add(step)
        if step == "connect_tcp.complete":
            self.stream = info["return_value"]

    async def close(self) -> None:
        """Close the connection: httpx leaves one open that was cut off in its TLS handshake."""
        if self.stream is not None:
            await self.stream.aclose()

    @property
    def in_handshake(self) -> bool:
        return "start_tls.started" in self.met and "start_tls.complete" not in self.met

    @property
    def sending(self) -> bool:
        return "send_request_headers.started" in self.met


def post(
    url: httpx.URL,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
    transport: httpx.MockTransport | None = None,
) -> Answer:
    """POST ``body`` and return the head of the answer, all within ``seconds``. Redirects are not followed.

    Raises
    ------
    NoAnswer : with the reason in words.
    """
    # An own loop can be closed while a resolver hangs; asyncio.run would wait for it.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_post(url, body, headers, seconds, transport))
    finally:
        loop.close()


async def _post(
    url: httpx.URL,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    transport: httpx.MockTransport | None,
) -> Answer:
    progress = _Progress()
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(
                transport=transport,
                timeout=seconds,
                follow_redirects=False,
                verify=tls() if transport is None else True,
            ) as client,
            client.stream(
                "POST", url, content=body, headers=dict(headers), extensions={"trace": progress}
            ) as answer,
        ):
            return Answer(
                answer.status_code, answer.headers.get("retry-after"), answer.headers.get("location")
            )
    except (TimeoutError, httpx.TimeoutException) as error:
        raise NoAnswer(_late(progress, seconds), arrived=progress.sending or transport is not None) from error
    except httpx.RequestError as error:
        raise NoAnswer(
            _words(error, progress, url.host), arrived=progress.sending or transport is not None
        ) from error
    finally:
        await progress.close()
        for _ in range(3):  # the loop needs some turns to dispose of closed connections
            await asyncio.sleep(0)


def _late(progress: _Progress, seconds: float) -> str:
    within = f"within {seconds:g} s"
    if progress.sending:
        return f"connected, but no complete answer {within}"
    if progress.in_handshake:
        return f"connected, but no end of the TLS handshake {within}"
    return f"no connection {within}"


def _words(error: httpx.RequestError, progress: _Progress, host: str) -> str:
    """In words, how a connection failed. Bytes of the receiver are never repeated."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: its certificate is not accepted ({clean(cause.verify_message, 120)})"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy did not let it through ({clean(error, 120)})"
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and cause.reason and not isinstance(cause, ssl.SSLEOFError):
            return f"TLS failed ({clean(cause.reason, 120)})"
        if isinstance(cause, socket.gaierror):
            return f"unknown host {clean(host, 120)}"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there"
    if progress.in_handshake:
        return "TLS failed (the connection was closed during the handshake)"
    if isinstance(error, httpx.ConnectError):
        reason = next((c.strerror for c in causes if isinstance(c, OSError) and c.strerror), None)
        return f"cannot connect ({clean(reason or 'no reason given', 120)})"
    if isinstance(error, httpx.RemoteProtocolError):
        closed = "disconnected" in str(error)
        return (
            "the connection was closed before an answer came"
            if closed
            else "it answered something that is not HTTP"
        )
    if isinstance(error, httpx.NetworkError):
        return "the connection broke off before an answer came"
    return f"{type(error).__name__}: {clean(error, 120)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, nearest first."""
    waiting, ids = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in ids:
            continue
        ids.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [c for c in (one.__cause__, one.__context__) if c is not None]


@cache
def tls() -> ssl.SSLContext:
    """One TLS context for all tries: reading the system's certificates takes long."""
    return httpx.create_ssl_context()
