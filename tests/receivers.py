"""Receivers of webhooks on this machine that behave as the worst ones do; each runs until its test is over."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: Time between two drops of a trickle (s): shorter than any time-out of a test, so a time-out a read never ends.
DROP_S = 0.02


@dataclass
class Request:
    """One POST as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """A listening socket. ``answer`` is given each request and its connection; ``took`` holds what came whole."""

    port: int
    took: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def keys(self) -> list[str]:
        return [request.key for request in self.took]


Answer = Callable[[Receiver, Request, socket.socket], None]


@contextmanager
def receiving(answer: Answer | None, *, read: bool = True) -> Iterator[Receiver]:
    """A receiver. ``answer`` None accepts nobody; ``read`` false answers without reading (TLS garbage)."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    listening.settimeout(0.05)
    receiver = Receiver(listening.getsockname()[1])
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            try:
                request = _read(connection) if read else Request({}, b"")
                if read:
                    receiver.took.append(request)
                assert answer is not None
                answer(receiver, request, connection)
            except OSError:
                pass  # the sender hung up

    def accept() -> None:
        while not receiver.over.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=one, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    loop = threading.Thread(target=accept if answer is not None else receiver.over.wait, daemon=True)
    loop.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        listening.close()
        for thread in (loop, *threads):
            thread.join(5)


def _read(connection: socket.socket) -> Request:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += _some(connection)
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
    }
    while len(body) < int(headers["content-length"]):
        body += _some(connection)
    return Request(headers, body)


def _some(connection: socket.socket) -> bytes:
    found = connection.recv(65536)
    if not found:
        raise ConnectionError("closed")
    return found


# -- answers -------------------------------------------------------------------------------------------------


def status(code: int, *headers: str) -> Answer:
    lines = "".join(f"{h}\r\n" for h in headers)

    def answer(receiver: Receiver, request: Request, connection: socket.socket) -> None:
        connection.sendall(
            f"HTTP/1.1 {code} X\r\ncontent-length: 0\r\n{lines}connection: close\r\n\r\n".encode()
        )

    return answer


good = status(204)


def trickle(begin: bytes, drop: bytes) -> Answer:
    """Sends ``begin``, then ``drop`` again and again."""

    def answer(receiver: Receiver, request: Request, connection: socket.socket) -> None:
        connection.sendall(begin)
        while not receiver.over.wait(DROP_S):
            connection.sendall(drop)

    return answer


def dropped(receiver: Receiver, request: Request, connection: socket.socket) -> None:
    """Hangs up without a word."""


def silent(receiver: Receiver, request: Request, connection: socket.socket) -> None:
    """Keeps the connection and says nothing."""
    receiver.over.wait()


def raw(content: bytes) -> Answer:
    def answer(receiver: Receiver, request: Request, connection: socket.socket) -> None:
        connection.sendall(content)

    return answer


HANGING: dict[str, Answer | None] = {
    "a header a moment": trickle(b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"),
    "a byte of a header a moment": trickle(b"HTTP/1.1 200 OK\r\nx-long: ", b"a"),
    "a byte of the status line a moment": trickle(b"HTTP/1.1 200 O", b"K"),
    "100 Continue a moment": trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "102 Processing a moment": trickle(b"", b"HTTP/1.1 102 Processing\r\nx-a: b\r\n\r\n"),
    "nothing": silent,
    "no accept": None,
}
FAILING: dict[str, tuple[Answer, str]] = {
    "drop": (dropped, "closed before an answer came"),
    "500": (status(500), "HTTP 500"),
    "garbage": (raw(b"\x16\x03\x01\x02\x00\x01\x00 what is this\r\n\r\n"), "not HTTP"),
    "redirect": (
        status(308, "location: https://elsewhere.example.com/secret"),
        "a redirect to elsewhere.example.com",
    ),
    "busy for hours": (status(503, "retry-after: 86400"), "asked to wait 86400 s"),
}
