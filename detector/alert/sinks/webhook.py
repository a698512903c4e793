"""Posts events to an HTTPS endpoint, signed as the Standard Webhooks specification says.

The signature covers id, time and body. So a receiver knows the sender, and that the event is unchanged and no
replay. It takes twenty lines and needs no library (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from detector.alert.clean import clean
from detector.alert.posting import NoAnswer, post
from detector.alert.sink import Event, Sink, refuse_unknown, setting
from detector.errors import ConfigError, DeliveryError, EventRefused

_PREFIX = "whsec_"
#: Fewest bytes of a secret, as the specification asks.
_LEAST_SECRET = 24
#: First wait between tries (s); it doubles every time.
_FIRST_WAIT_S = 1.0
#: Longest wait of our own (s).
_LONGEST_WAIT_S = 60.0
#: Client errors after which another try may help: time-out, too early, too many.
_RETRY_4XX = frozenset({408, 425, 429})
#: Answers of a proxy without the receiver's answer: the receiver may have stored the event.
_UNSURE = frozenset({502, 504})


def sign(secrets: Sequence[bytes], key: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header: one ``v1,<base64>`` for each secret, separated by spaces.

    ``timestamp`` is in seconds since 1970. With two secrets a receiver may hold either of them, so that they can be
    rotated.
    """
    content = f"{key}.{timestamp}.".encode() + body
    marks = (hmac.new(secret, content, hashlib.sha256).digest() for secret in secrets)
    return " ".join("v1," + base64.b64encode(mark).decode() for mark in marks)


@dataclass(frozen=True)
class Webhook:
    """One signed POST for each event, tried again with growing waits while another try may help.

    A try takes at most ``timeout_s``. A receiver may ask for a wait of up to ``max_wait_s`` with Retry-After. For a
    longer wait the sink gives up, and the next ``deliver`` sends the rest. ``clock`` gives seconds since 1970.
    """

    name: str
    url: httpx.URL
    secrets: tuple[bytes, ...] = field(repr=False)
    timeout_s: float = 10.0
    max_tries: int = 5
    max_wait_s: float = 300.0
    transport: httpx.MockTransport | None = None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    @property
    def where(self) -> str:
        """Scheme and host only: paths and queries of webhooks often hold secrets."""
        port = f":{self.url.port}" if self.url.port else ""
        return f"{self.url.scheme}://{self.url.host}{port}"

    def send(self, event: Event, *, key: str, until: float | None = None) -> int:
        """Send one event; see ``Sink``. No try goes beyond ``until``."""
        body = orjson.dumps(event)
        arrived = False
        for tries in range(1, self.max_tries + 1):
            wait_asked: float | None = None
            seconds = self.timeout_s if until is None else min(self.timeout_s, until - time.monotonic())
            if seconds <= 0:
                raise self._failure(key, "had no time left for a try", arrived=arrived)
            try:
                answer = post(
                    self.url, body, self._headers(key, body), seconds=seconds, transport=self.transport
                )
            except NoAnswer as error:
                fault = error.reason
                arrived = arrived or error.arrived
            else:
                if 200 <= answer.status < 300:
                    return tries
                fault = f"HTTP {answer.status}"
                if 300 <= answer.status < 400:
                    raise self._failure(
                        key,
                        f"answered {fault}, a redirect{self._target(answer.location)}",
                        hint="redirects are not followed: set the final URL",
                        arrived=arrived,
                    )
                if answer.status < 500 and answer.status not in _RETRY_4XX:
                    raise EventRefused(f"sink {self.name!r}: {self.where} refused it with {fault} ({key})")
                arrived = arrived or answer.status in _UNSURE
                wait_asked = retry_after(answer.retry_after, self.clock())
            if wait_asked is not None and wait_asked > self.max_wait_s:
                raise self._failure(
                    key, f"answered {fault} and asked to wait {wait_asked:.0f} s", arrived=arrived
                )
            if tries == self.max_tries:
                break
            wait = self._wait(tries, wait_asked)
            if until is not None and time.monotonic() + wait >= until:
                break
            self.sleep(wait)
        tried = "1 try: " if tries == 1 else f"{tries} tries, last "
        raise self._failure(key, f"did not take it in {tried}{fault}", arrived=arrived)

    def _target(self, location: str | None) -> str:
        """Host that a redirect names, without the path, which may hold a secret."""
        if location is None:
            return ""
        try:
            host = self.url.join(location).host
        except (httpx.InvalidURL, ValueError):
            return ""
        return f" to {clean(host, 120)}" if host else ""

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        # Every try has a new signature: receivers refuse a time more than five minutes old.
        timestamp = int(self.clock())
        return {
            "content-type": "application/json",
            "user-agent": "hydrawatch",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.secrets, key, timestamp, body),
        }

    def _wait(self, tries: int, wait_asked: float | None) -> float:
        # Half of the wait is random: many senders that failed together must not come back together.
        wait = min(_FIRST_WAIT_S * 2.0 ** (tries - 1), _LONGEST_WAIT_S)
        wait = wait / 2 + self.rng.uniform(0, wait / 2)
        return wait if wait_asked is None else max(wait, wait_asked)

    def _failure(self, key: str, what: str, *, arrived: bool, hint: str | None = None) -> DeliveryError:
        return DeliveryError(f"sink {self.name!r}: {self.where} {what} ({key})", hint=hint, arrived=arrived)


def retry_after(value: str | None, now: float) -> float | None:
    """The wait that a Retry-After header asks for (s), from seconds or an HTTP date; None: not readable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # An HTTP date is always GMT; "-0000" is parsed as without zone.
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, moment.timestamp() - now)


def make(name: str, settings: Mapping[str, Any]) -> Sink:
    """A sink from its settings.

    ``url`` or ``url_env`` (environment variable that holds it) · ``secret_env``, a variable or a list of
    them (two while a secret is rotated), each holding ``whsec_<base64>`` · ``timeout_s`` · ``max_tries`` ·
    ``max_wait_s``. Secrets never stand in the configuration itself.

    Raises
    ------
    ConfigError : no or a bad URL, plain http to another machine, a missing or malformed secret.
    """
    keys = ("url", "url_env", "secret_env", "timeout_s", "max_tries", "max_wait_s")
    if "secret" in settings:
        raise ConfigError(
            f"sink {name!r}: the secret must not stand in the file",
            hint='put it in an environment variable and write secret_env = "ITS_NAME"',
        )
    refuse_unknown(settings, keys, sink=name)
    names = setting(settings, "secret_env", (str, list), None, sink=name)
    variables = [names] if isinstance(names, str) else names
    if not variables or not all(isinstance(v, str) for v in variables):
        raise ConfigError(f"sink {name!r}: secret_env must name one environment variable or several")
    tries = setting(settings, "max_tries", int, 5, sink=name)
    timeout_s = setting(settings, "timeout_s", (int, float), 10.0, sink=name)
    max_wait_s = setting(settings, "max_wait_s", (int, float), 300.0, sink=name)
    if tries < 1 or timeout_s <= 0 or max_wait_s < 0:
        raise ConfigError(
            f"sink {name!r}: max_tries needs 1 or more, timeout_s more than 0, max_wait_s 0 or more"
        )
    return Webhook(
        name=name,
        url=_url(settings, name),
        secrets=tuple(_secret(variable, name) for variable in variables),
        timeout_s=float(timeout_s),
        max_tries=tries,
        max_wait_s=float(max_wait_s),
    )


def _url(settings: Mapping[str, Any], name: str) -> httpx.URL:
    text = setting(settings, "url", str, None, sink=name)
    variable = setting(settings, "url_env", str, None, sink=name)
    if (text is None) == (variable is None):
        raise ConfigError(f"sink {name!r}: expected either url or url_env")
    if variable is not None and not (text := os.environ.get(variable)):
        raise ConfigError(f"sink {name!r}: environment variable {variable} is not set")
    try:
        url = httpx.URL(text or "")
    except httpx.InvalidURL as error:
        raise ConfigError(f"sink {name!r}: not a URL: {error}") from error
    if url.scheme not in ("https", "http") or not url.host:
        raise ConfigError(f"sink {name!r}: expected a URL that begins with https:// and names a host")
    if url.userinfo:
        raise ConfigError(
            f"sink {name!r}: no user or password in the URL", hint="the signature proves the sender"
        )
    if url.scheme == "http" and not _loopback(url.host):
        raise ConfigError(
            f"sink {name!r}: plain http to {url.host} would show alerts on the way",
            hint="use https://; http:// is taken for this machine only",
        )
    return url


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secret(variable: str, name: str) -> bytes:
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"sink {name!r}: environment variable {variable} is not set")
    # The messages never repeat the value.
    try:
        secret = base64.b64decode(value.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not value.strip().startswith(_PREFIX) or len(secret) < _LEAST_SECRET:
        raise ConfigError(
            f"sink {name!r}: {variable} must hold {_PREFIX} and the base64 of {_LEAST_SECRET} bytes or more",
            hint="make one: echo whsec_$(head -c 32 /dev/urandom | base64)",
        )
    return secret
