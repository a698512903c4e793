"""Addresses and clients of a world.

All addresses are in private, carrier-shared or documentation ranges. Hosting and VPN networks have real public AS
numbers, so that a list of hosting networks also works in a synthetic world. Access providers have private-use AS
numbers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: country, weight among customers, hours east of UTC, language root of prompts
COUNTRIES: tuple[tuple[str, float, float, str], ...] = (
    ("US", 26, -6, "en"), ("IN", 11, 5.5, "en"), ("GB", 6, 0, "en"), ("DE", 6, 1, "de"), ("FR", 4, 1, "fr"),
    ("BR", 5, -3, "pt"), ("JP", 5, 9, "ja"), ("KR", 3, 9, "ko"), ("CN", 3, 8, "zh"), ("SG", 3, 8, "zh"),
    ("TW", 2, 8, "zh"), ("ID", 3, 7, "en"), ("PL", 2, 1, "en"), ("TR", 2, 3, "en"), ("NG", 2, 1, "en"),
    ("MX", 3, -6, "es"), ("CA", 3, -5, "en"), ("AU", 2, 10, "en"), ("ES", 2, 1, "es"), ("AR", 1, -3, "es"),
    ("IT", 2, 1, "en"), ("VN", 2, 7, "en"), ("UA", 1, 2, "ru"), ("KZ", 1, 5, "ru"), ("NL", 2, 1, "en"),
)  # fmt: skip
HOSTING_ASNS = (16509, 14618, 15169, 8075, 14061, 24940, 16276, 63949, 20473, 45102, 132203, 51167)
VPN_ASNS = (9009, 60068, 212238, 136787)
_ISPS_PER_COUNTRY = 3
FIRST_ISP_ASN = 4_200_000_000
_FIRST_CARRIER_ASN = 4_200_001_000
_FIRST_OFFICE_ASN = 4_200_002_000


@dataclass(frozen=True)
class Client:
    """A client program: user agent, TLS stack (from which its JA4 follows), kind, weight in its kind."""

    user_agent: str
    stack: str
    kind: str
    weight: float

    @property
    def ja4(self) -> str:
        """An invented JA4 of the right shape. Clients of one TLS stack share it."""
        digest = hashlib.sha256(self.stack.encode()).hexdigest()
        alpn = "h1" if int(digest[0], 16) < 5 else "h2"
        counts = f"{15 + int(digest[1], 16) % 4}{10 + int(digest[2], 16) % 8}"
        return f"t13d{counts}{alpn}_{digest[3:15]}_{digest[15:27]}"


_SYSTEMS = (
    ("Windows NT 10.0; Win64; x64", 9.0),
    ("Macintosh; Intel Mac OS X 10_15_7", 6.0),
    ("X11; Linux x86_64", 2.0),
)
_SERVERS = (
    ("python-requests/2.32.3", "openssl-new", 4.0), ("python-httpx/0.27.2", "openssl-new", 3.0),
    ("axios/1.7.7", "node20", 3.0), ("okhttp/4.12.0", "conscrypt", 2.0), ("Go-http-client/2.0", "gotls", 4.0),
    ("curl/8.5.0", "curl", 2.0), ("Java-http-client/21.0.3", "jdk21", 2.0), ("reqwest/0.12", "rustls", 1.5),
    ("aiohttp/3.10", "openssl-new", 2.0), ("Faraday v2.9.0", "ruby", 0.7), ("GuzzleHttp/7", "php", 1.0),
)  # fmt: skip
_PYTHON_SDK = (("1.38.0", 3.0), ("1.42.1", 6.0), ("1.51.0", 9.0), ("1.54.2", 7.0), ("1.55.0", 4.0))


def _clients() -> tuple[Client, ...]:
    clients = []
    for system, weight in _SYSTEMS:
        for version, share in ((128, 1), (130, 2), (131, 4), (132, 3)):
            agent = f"Mozilla/5.0 ({system}) Chrome/{version}.0.0.0 Safari/537.36"
            clients.append(Client(agent, "chromium", "web", weight * share))
        stack = "gecko-linux" if "Linux" in system else "gecko"
        clients.append(Client(f"Mozilla/5.0 ({system}; rv:133.0) Firefox/133.0", stack, "web", weight * 1.5))
    safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.6 Safari/605.1.15"
    clients.append(Client(safari, "webkit", "web", 9))
    for version_, weight in (("2.8.1", 5.0), ("2.9.0", 8.0), ("2.9.2", 6.0)):
        clients.append(Client(f"ChatApp/{version_} (iOS 18)", "ios", "web", weight))
        clients.append(Client(f"ChatApp/{version_} (Android 14)", "android", "web", weight))
    for version_, weight in _PYTHON_SDK:
        for python, stack in (("3.10", "openssl-old"), ("3.11", "openssl-old"), ("3.12", "openssl-new")):
            clients.append(Client(f"llm-python/{version_} (Linux; py{python})", stack, "sdk", weight))
        clients.append(Client(f"llm-python/{version_} (Darwin; py3.12)", "openssl-mac", "sdk", weight / 2))
    for version_, weight in (("4.20.0", 4.0), ("4.61.1", 6.0), ("4.68.0", 8.0)):
        clients.append(Client(f"llm-node/{version_} (node v20)", "node20", "sdk", weight))
        clients.append(Client(f"llm-node/{version_} (node v22)", "node22", "sdk", weight))
    clients += [Client(agent, stack, "server", weight) for agent, stack, weight in _SERVERS]
    for version_, weight in (("1.0.31", 3.0), ("1.0.44", 7.0), ("1.0.45", 9.0)):
        clients.append(Client(f"code-agent-cli/{version_} (external, cli)", "node22", "agent", weight))
    for version_, weight in (("0.9.2", 3.0), ("0.10.0", 6.0)):
        for system in ("linux", "darwin"):
            clients.append(Client(f"editor-pilot/{version_} ({system})", "electron", "agent", weight))
    clients.append(Client("workbench-agent/0.21", "rustls", "agent", 2))
    return tuple(clients)


CLIENTS = _clients()


class Network:
    """Every address of a world by its number, which indexes ``ip``, ``asn`` and ``country``."""

    def __init__(self, rng: np.random.Generator, population: int) -> None:
        self.rng = rng
        self.ip: list[str] = []
        self.asn: list[int] = []
        self.country: list[str] = []
        weights = np.array([c[1] for c in COUNTRIES])
        self.country_weights = weights / weights.sum()
        # Octets are assigned at random, so that the first bytes of an address mean nothing in another world.
        self._octets = rng.permutation(256)
        few = max(3, population // 400)
        self.carrier = {i: self._carrier(i, max(2, int(few * w / 4))) for i, w in enumerate(weights)}
        self.vpn = np.array([self._vpn() for _ in range(max(12, population // 40))])
        # A few exits carry most VPN traffic.
        self.vpn_weights = 1 / np.arange(1, len(self.vpn) + 1) ** 0.9
        self.vpn_weights /= self.vpn_weights.sum()
        self._hosting_blocks = [
            (int(asn), int(rng.integers(6)), int(rng.integers(256)))
            for asn in rng.choice(len(HOSTING_ASNS), size=max(24, population // 25))
        ]
        self._pools = [self._pool(int(rng.integers(6, 16))) for _ in range(3)]
        self.exits: Ints = np.zeros(0, dtype=np.int64)

    def _add(self, ip: str, asn: int, country: str) -> int:
        self.ip.append(ip)
        self.asn.append(asn)
        self.country.append(country)
        return len(self.ip) - 1

    def _carrier(self, country: int, n: int) -> Ints:
        rng = self.rng
        rows = [(int(rng.integers(64)), int(rng.integers(256)), int(rng.integers(1, 255))) for _ in range(n)]
        code = COUNTRIES[country][0]
        return np.array(
            [self._add(f"100.{64 + a}.{b}.{c}", _FIRST_CARRIER_ASN + country, code) for a, b, c in rows]
        )

    def _vpn(self) -> int:
        rng = self.rng
        which = int(rng.integers(len(VPN_ASNS)))
        country = COUNTRIES[int(rng.choice(len(COUNTRIES), p=self.country_weights))][0]
        ip = f"10.{self._octets[250 + which]}.{rng.integers(20)}.{rng.integers(1, 255)}"
        return self._add(ip, VPN_ASNS[which], country)

    def home(self, country: int) -> int:
        """A new residential line. About one in twelve is IPv6."""
        rng = self.rng
        isp = int(rng.integers(_ISPS_PER_COUNTRY))
        asn = FIRST_ISP_ASN + country * _ISPS_PER_COUNTRY + isp
        code = COUNTRIES[country][0]
        if rng.random() < 0.08:
            block = rng.integers(1 << 16)
            return self._add(f"2001:db8:{block:x}::{rng.integers(1, 1 << 16):x}", asn, code)
        second = self._octets[(country * _ISPS_PER_COUNTRY + isp) * 2 + int(rng.integers(2))]
        return self._add(f"10.{second}.{rng.integers(256)}.{rng.integers(1, 255)}", asn, code)

    def hosting(self) -> int:
        """A new server in one of the popular hosting blocks, which strangers share."""
        rng = self.rng
        # The square of a uniform number makes some blocks far more popular.
        which, part, third = self._hosting_blocks[int(rng.random() ** 2 * len(self._hosting_blocks))]
        ip = f"10.{self._octets[160 + which * 6 + part]}.{third}.{rng.integers(1, 255)}"
        return self._add(ip, HOSTING_ASNS[which], ("US", "DE", "SG", "GB")[part % 4])

    def _pool(self, n: int) -> Ints:
        first = self.hosting()
        return np.array([first, *(self.neighbour(first) for _ in range(n - 1))])

    def serverless(self, n: int) -> Ints:
        """Two exits each for ``n`` programs on hosted functions, from a few pools that all customers share."""
        rng = self.rng
        exits = [rng.choice(self._pools[int(k)], size=2) for k in rng.integers(len(self._pools), size=n)]
        return np.array(exits, dtype=np.int64).reshape(n, 2)

    def office(self, country: int, n: int = 1) -> Ints:
        """``n`` addresses of one office or campus line (one /24)."""
        rng = self.rng
        second, third = self._octets[232 + int(rng.integers(16))], rng.integers(256)
        hosts = rng.choice(np.arange(1, 255), size=n, replace=False)
        asn = _FIRST_OFFICE_ASN + int(rng.integers(40))
        return np.array([self._add(f"10.{second}.{third}.{h}", asn, COUNTRIES[country][0]) for h in hosts])

    def neighbour(self, address: int) -> int:
        """Another address of the same /24 (or, for IPv6, /48) network."""
        ip = self.ip[address]
        if ":" in ip:
            ip = f"{ip.rsplit('::', 1)[0]}::{self.rng.integers(1, 1 << 16):x}"
        else:
            ip = f"{ip.rsplit('.', 1)[0]}.{self.rng.integers(1, 255)}"
        return self._add(ip, self.asn[address], self.country[address])

    def open_exits(self, homes: Ints, share: float, extra: int) -> None:
        """Make residential exits: a share of ``homes``, whose owners keep using them, and ``extra`` others."""
        rng = self.rng
        real = homes[rng.random(len(homes)) < share]
        others = [self.home(int(c)) for c in rng.choice(len(COUNTRIES), size=extra, p=self.country_weights)]
        self.exits = np.concatenate([real, np.array(others, dtype=np.int64)])

    def clients(self, kind: str, rng: np.random.Generator, n: int) -> Ints:
        """``n`` client numbers of a kind, drawn by popularity. ``any`` mixes all kinds."""
        weights = np.array([c.weight if kind in (c.kind, "any") else 0.0 for c in CLIENTS])
        return rng.choice(len(CLIENTS), size=n, p=weights / weights.sum())
