"""A world under construction: accounts enrolled, people who use them, requests they send.

Archetypes and campaigns describe who does what; this module alone turns that into rows, so that honest
and abusive traffic pass through the same code and differ only in what was described.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.backtest.synth import clock, market
from detector.backtest.synth.grammar import Grammar, Texts, fill
from detector.backtest.synth.network import CLIENTS, COUNTRIES, FIRST_ISP_ASN, Network

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rng = np.random.Generator

REQUEST_SCHEMA: dict[str, Any] = {
    "request_id": pl.String, "ts": pl.Datetime("us"), "account_id": pl.String, "model": pl.String,
    "api_key_id": pl.String, "org_id": pl.String, "end_user_id": pl.String, "source_ip": pl.String,
    "asn": pl.Int64, "country": pl.String, "user_agent": pl.String, "ja4": pl.String, "pathway": pl.String,
    "operation": pl.String, "prompt": pl.String, "system_prompt": pl.String, "turn": pl.Int32,
    "session_id": pl.String, "input_tokens": pl.Int64, "output_tokens": pl.Int64, "cached_tokens": pl.Int64,
    "reasoning_tokens": pl.Int64, "latency_ms": pl.Float64, "ttft_ms": pl.Float64, "status": pl.Int32,
    "finish_reason": pl.String, "stream": pl.Boolean, "temperature": pl.Float64, "max_tokens": pl.Int64,
    "n": pl.Int32, "top_logprobs": pl.Int32, "logit_bias": pl.Boolean, "tool_count": pl.Int32,
    "tool_names": pl.List(pl.String), "n_images": pl.Int32,
}  # fmt: skip


@dataclass(frozen=True)
class Habit:
    """How one kind of use looks, whoever does it.

    Units: ``gap_s`` seconds, ``out`` and ``context`` (mean, sd) of log tokens, probabilities else.
    """

    text: str
    rhythm: str = "evening"
    single: float = 0.45
    more: float = 2.0
    gap_s: float = 90.0
    gap_sigma: float = 1.0
    burst: float = 0.8
    out: tuple[float, float] = (5.2, 0.95)
    context: tuple[float, float] = (3.0, 1.5)
    use: str = "chat"
    tools: float = 0.03
    images: float = 0.02
    stream: float = 0.7
    sessions: float = 0.7
    system: float = 0.4
    several: float = 0.01
    logprobs: float = 0.004
    follow: str = "followup"

    @property
    def turns_mean(self) -> float:
        """Expected requests of a session."""
        return self.single + (1 - self.single) * (2 + self.more)


@dataclass
class People:
    """Persons who send requests, one row each; several may share an account (``account`` repeats)."""

    account: Ints
    country: Ints
    zone_h: Floats
    addresses: Ints  # (n, 2) usual addresses
    mobile: Floats  # share of sessions from carrier networks
    vpn: Floats
    clients: Ints  # (n, 2)
    model: Ints
    taste: str
    temperature: Ints
    limit: Ints
    tools: Ints
    system: Texts
    style: Ints
    adopts_s: Floats  # when they move to the new model; inf: never
    born_s: Floats
    until_s: Floats
    end_user: Texts
    foreign: Floats = field(default_factory=lambda: np.zeros(0))  # share of prompts in the country's language

    def __len__(self) -> int:
        return len(self.account)

    def take(self, where: Ints) -> People:
        """The people at these positions."""
        values = {k: (v if k == "taste" else v[where]) for k, v in vars(self).items()}
        return People(**values)


@dataclass
class Rows:
    """Requests of a batch of people before they are written out; ``who`` points into the people."""

    who: Ints
    ts: Floats
    turn: Ints
    session: Ints
    prompt: Texts
    system: Texts
    over: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.who)


@dataclass(frozen=True)
class Victim:
    """What an attacker can see and copy of an honest account."""

    account: int
    address: int
    client: int
    prompts: list[str]


TextMaker = Callable[["Town", Rng, People, Ints, Ints, Ints], tuple[Texts, Texts]]


class Town:
    """Collects accounts, events and request frames of one world."""

    def __init__(
        self, *, rng: Rng, grammar: Grammar, start: date, days: int, population: int, release: bool
    ) -> None:
        self.rng = rng
        self.grammar = grammar
        self.start = datetime(start.year, start.month, start.day)
        self.days = days
        self.end_s = days * clock.DAY_S
        self.network = Network(rng, population)
        self.release_s = (days * rng.uniform(0.35, 0.6)) * clock.DAY_S if release else np.inf
        self.accounts: dict[str, list[Any]] = {}
        self.events: list[tuple[float, int, str]] = []
        self.frames: list[pl.DataFrame] = []
        self.born_s: list[float] = []
        self.until_s: list[float] = []
        self.keys: list[int] = []
        self._benchmarks: list[Texts] = []
        self._requests = 0
        self._sessions = 0
        self._names = rng.permutation(1 << 20)
        self._mask = int(rng.integers(1 << 62))

    # -- accounts ---------------------------------------------------------------------------------

    def enroll(self, n: int, columns: Mapping[str, Any], born_s: Floats) -> Ints:
        """Adds ``n`` accounts; ``columns`` hold lists of length ``n`` or one value for all. Gives their numbers."""
        first = len(self.born_s)
        self.born_s += born_s.tolist()
        self.until_s += [np.inf] * n
        self.keys += self.rng.choice([1, 2, 3], size=n, p=[0.8, 0.15, 0.05]).tolist()
        # An account's number tells nothing: names are dealt from a shuffled deck.
        values: dict[str, Any] = {"account_id": [f"acct_{self._names[first + i]:05x}" for i in range(n)]}
        values.update(columns)
        for name, value in values.items():
            column = list(value) if isinstance(value, (list, np.ndarray)) else [value] * n
            if len(column) != n:
                raise ValueError(f"account column {name!r} has {len(column)} values for {n} accounts")
            self.accounts.setdefault(name, []).extend(column)
        for i in np.flatnonzero((born_s >= 0) & (born_s < self.end_s)).tolist():
            self.events.append((float(born_s[i]), first + i, "created"))
        return np.arange(first, first + n)

    def stop(self, account: int, at_s: float, event: str) -> None:
        """Ends an account's traffic at a time, with the event that ended it."""
        self.until_s[account] = min(self.until_s[account], at_s)
        self.events.append((at_s, account, event))

    def relabel(self, accounts: Ints, **columns: Any) -> None:
        """Changes facts or truth of accounts already enrolled."""
        for name, value in columns.items():
            for account in accounts.tolist():
                self.accounts[name][account] = value

    def open_exits(self, rng: Rng) -> None:
        """Turns a share of the honest homes into residential exits that strangers use too."""
        known = {ip: i for i, ip in enumerate(self.network.ip)}
        homes = np.array([known[ip] for ip in self.accounts["signup_ip"]], dtype=np.int64)
        residential = np.array([a >= FIRST_ISP_ASN for a in self.network.asn])
        self.network.open_exits(homes[residential[homes]], rng.uniform(0.05, 0.12), len(homes) // 8 + 4)

    def victims(self, rng: Rng, n: int) -> list[Victim]:
        """Honest accounts to be framed, with what is publicly visible of them."""
        rows = [f for f in self.frames if not f["_harvest"].any() and len(f) > 200]
        found = []
        for _ in range(n if rows else 0):
            frame = rows[int(rng.integers(len(rows)))]
            at = int(rng.integers(len(frame)))
            account = int(frame["_account"][at])
            if self.accounts["label"][account]:
                continue
            mine = frame.filter(pl.col("_account") == account)
            ip, agent = mine["source_ip"][0], mine["user_agent"][0]
            client = next(i for i, c in enumerate(CLIENTS) if c.user_agent == agent)
            found.append(Victim(account, self.network.ip.index(ip), client, mine["prompt"].head(8).to_list()))
        return found

    def mark_framed(self, account: int) -> None:
        """Notes in the truth that an honest account was framed."""
        self.accounts["framed"][account] = True

    # -- traffic ----------------------------------------------------------------------------------

    def times(self, rng: Rng, people: People, habit: Habit, rate: Floats) -> tuple[Ints, Floats, Ints, Ints]:
        """Draws sessions and turns of every person: who, when, which turn, which session.

        ``rate`` is the expected number of requests of each person in the whole window.
        """
        count = rng.poisson(rate / habit.turns_mean)
        owner = np.repeat(np.arange(len(people)), count)
        starts = clock.session_starts(
            rng, owner, people.zone_h, rhythm=habit.rhythm, days=self.days,
            first_weekday=self.start.weekday(), burst=habit.burst,
        )  # fmt: skip
        # Who signs up inside the window, or is stopped in it, has all his sessions in what remains.
        low = np.clip(people.born_s, 0, self.end_s)[owner]
        high = np.clip(people.until_s, 0, self.end_s)[owner]
        squeeze = (starts < low) | (starts >= high)
        starts = np.where(squeeze, low + starts / self.end_s * np.maximum(high - low, 0), starts)
        counts = clock.turns(rng, len(starts), single=habit.single, more=habit.more)
        session, ts, turn = clock.unroll(rng, starts, counts, gap_s=habit.gap_s, sigma=habit.gap_sigma)
        who = owner[session]
        keep = (ts >= people.born_s[who]) & (ts < np.minimum(people.until_s[who], self.end_s))
        return who[keep], ts[keep], turn[keep], session[keep]

    def speak(
        self, rng: Rng, people: People, habit: Habit, rate: Floats, maker: TextMaker, **over: Any
    ) -> int:
        """Sends everything these people send by this habit; gives the number of requests."""
        who, ts, turn, session = self.times(rng, people, habit, rate)
        if not len(who):
            return 0
        prompt, system = maker(self, rng, people, who, turn, session)
        return self.emit(rng, people, habit, Rows(who, ts, turn, session, prompt, system, dict(over)))

    def emit(self, rng: Rng, people: People, habit: Habit, rows: Rows, *, harvest: bool = False) -> int:
        """Dresses rows with addresses, clients, models, parameters and outcomes, and keeps them."""
        rows = _with_retries(rng, rows)
        n = len(rows)
        who, over = rows.who, rows.over
        address = over.get("address")
        if address is None:
            address = self._addresses(rng, people, rows)
        second = rng.random(n) < 0.1
        client = over.get("client", people.clients[who, second.astype(int)])
        model = over.get("model")
        if model is None:
            model = self._models(rng, people, rows)
        temperature = np.where(
            rng.random(n) < 0.9, people.temperature[who], market.temperatures(rng, habit.use, n)
        )
        temperature = over.get("temperature", temperature)
        limit = np.where(rng.random(n) < 0.92, people.limit[who], market.limits(rng, habit.use, n))
        limit = np.array([x if x else 0 for x in market.LIMITS])[over.get("limit", limit)]
        tools = np.where(rng.random(n) < habit.tools, people.tools[who], 0)
        failed = over.get("failed", np.zeros(n, dtype=bool)) | (rng.random(n) < 0.006)
        status = np.where(
            failed, rng.choice([429, 500, 503, 529, 400], size=n, p=[0.5, 0.15, 0.1, 0.15, 0.1]), 200
        )
        chars = np.array([len(p) for p in rows.prompt.tolist()]) + np.array(
            [len(s) if s else 0 for s in rows.system.tolist()]
        )
        context = np.exp(rng.normal(*habit.context, size=n)) + (rows.turn - 1) * rng.gamma(2.0, 180.0, n)
        read = (chars / rng.normal(3.9, 0.25, n).clip(3) + np.minimum(context, 180_000)).astype(int) + 4
        out = np.exp(rng.normal(*habit.out, size=n)).clip(1, 32_000)
        out = over.get("out", out)
        cut = (limit > 0) & (out >= limit)
        out = np.where(failed, 0, np.where(cut, limit, out)).astype(int)
        finish = np.where(cut, "length", np.where((tools > 0) & (rng.random(n) < 0.55), "tool", "stop"))
        finish = np.where(rng.random(n) < over.get("refused", 0.004), "refusal", finish)
        large = np.array([t == "large" for _, t, _ in market.MODELS] + [True])[model]
        reason = np.array([name == "meridian-reason" for name in market.MODEL_NAMES])[model]
        ttft = np.exp(rng.normal(6.0, 0.5, n)) + read * 0.02
        latency = ttft + out * rng.gamma(6.0, 2.2, n) * np.where(large, 1.9, 1.0)
        account = people.account[who]
        keeps = (account * 7919 % 100) < habit.sessions * 100
        logprobs = over.get(
            "logprobs", np.where(rng.random(n) < habit.logprobs, rng.choice([1, 3, 5], size=n), 0)
        )
        several = over.get(
            "several", np.where(rng.random(n) < habit.several, rng.choice([2, 3, 4], size=n), 1)
        )
        images = np.where(rng.random(n) < habit.images, rng.geometric(0.7, n), 0)
        has = ~failed
        ids = np.arange(self._requests, self._requests + n)
        self._requests += n
        session = rows.session + self._sessions
        self._sessions += int(rows.session.max()) + 1
        key = (account * 31 + np.where(rng.random(n) < 0.9, 0, 1) % np.array(self.keys)[account]) % (1 << 20)
        net = self.network
        frame = pl.DataFrame(
            {
                "request_id": _names("req_", ids, self._mask),
                "_us": (rows.ts * 1e6).astype(np.int64),
                "_account": account,
                "_harvest": np.full(n, harvest) if not isinstance(over.get("harvest"), np.ndarray) else over["harvest"],
                "_held": np.array(people.until_s)[who],
                "model": _gather(market.MODEL_NAMES, model),
                "api_key_id": _names("key_", key, self._mask ^ 0x5BD1),
                "end_user_id": pl.Series(people.end_user[who].tolist(), dtype=pl.String),
                "source_ip": _gather(net.ip, address),
                "asn": pl.Series(net.asn, dtype=pl.Int64).gather(address),
                "country": _gather(net.country, address),
                "user_agent": _gather([c.user_agent for c in CLIENTS], client),
                "ja4": _gather([c.ja4 for c in CLIENTS], client),
                "operation": pl.Series([over.get("operation", "chat")] * n, dtype=pl.String),
                "prompt": pl.Series(rows.prompt.tolist(), dtype=pl.String),
                "system_prompt": pl.Series(rows.system.tolist(), dtype=pl.String),
                "turn": np.where(keeps, rows.turn, 0),
                "session_id": _names("conv_", session, self._mask ^ 0x1F3D),
                "input_tokens": read,
                "output_tokens": out,
                "cached_tokens": np.where((rows.turn > 1) & (rng.random(n) < 0.6), (read * rng.uniform(0.3, 0.9, n)), 0)
                .astype(int),
                "reasoning_tokens": np.where(reason & has, np.exp(rng.normal(6, 1, n)), 0).astype(int),
                "latency_ms": np.round(np.where(has, latency, rng.gamma(2, 60, n)), 1),
                "ttft_ms": np.round(ttft, 1),
                "status": status,
                "finish_reason": pl.Series(finish.tolist(), dtype=pl.String),
                "stream": rng.random(n) < habit.stream,
                "temperature": pl.Series(market.TEMPERATURES, dtype=pl.Float64).gather(temperature),
                "max_tokens": limit,
                "n": several,
                "top_logprobs": logprobs,
                "logit_bias": over.get("bias", np.zeros(n, dtype=bool)),
                "tool_count": np.array([len(t) for t in market.TOOLSETS])[tools],
                "tool_names": pl.Series(market.TOOLSETS, dtype=pl.List(pl.String)).gather(tools),
                "n_images": images,
            }
        )  # fmt: skip
        nulls = {
            "session_id": keeps, "turn": keeps, "ttft_ms": has & frame["stream"].to_numpy(),
            "finish_reason": has, "max_tokens": limit > 0, "top_logprobs": logprobs > 0,
        }  # fmt: skip
        self.frames.append(
            frame.with_columns(
                pl.when(pl.Series(present)).then(pl.col(name)).otherwise(None).alias(name)
                for name, present in nulls.items()
            )
        )
        return n

    def send(
        self, rng: Rng, people: People, habit: Habit, who: Ints, ts: Floats, turn: Ints, session: Ints, prompt: Texts,
        system: Texts, *, harvest: bool = False, **over: Any,
    ) -> int:  # fmt: skip
        """As ``emit``, from the parts of the rows."""
        return self.emit(
            rng, people, habit, Rows(who, ts, turn, session, prompt, system, dict(over)), harvest=harvest
        )

    def benchmarks(self, rng: Rng) -> list[Texts]:
        """The public benchmarks of this world: lists of wrapped items, the same for everybody who runs them."""
        if not self._benchmarks:
            for domains in (
                ("maths",),
                ("maths", "science"),
                ("code",),
                ("law", "medicine"),
                ("cs", "history"),
            ):
                size = int(rng.integers(250, 900))
                lead = np.full(size, self.grammar.one(rng, "bench.lead"), dtype=object)
                pick = rng.integers(len(domains), size=size)
                items = np.empty(size, dtype=object)
                for i, domain in enumerate(domains):
                    items[pick == i] = self.grammar.make(rng, f"ask.{domain}", int((pick == i).sum()))
                self._benchmarks.append(fill(lead, Q=items))
        return self._benchmarks

    def _addresses(self, rng: Rng, people: People, rows: Rows) -> Ints:
        """One address a session, as people move between home, a second place, mobile networks and VPNs."""
        number, session = np.unique(rows.session, return_inverse=True)
        owner = np.zeros(len(number), dtype=np.int64)
        owner[session] = rows.who
        u = rng.random(len(number))
        usual = people.addresses[owner, (rng.random(len(number)) < 0.2).astype(int)]
        vpn = rng.choice(self.network.vpn, size=len(number), p=self.network.vpn_weights)
        pools = [self.network.carrier[i] for i in range(len(COUNTRIES))]
        size = np.array([len(p) for p in pools])
        flat = np.concatenate(pools)
        first = np.concatenate([[0], np.cumsum(size)[:-1]])
        country = people.country[owner]
        # Carrier exits change slowly: a person meets few of them.
        mobile = flat[first[country] + (owner * 7 + (rng.random(len(number)) < 0.15)) % size[country]]
        on_vpn, on_mobile = people.vpn[owner], people.mobile[owner]
        address = np.where(u < on_vpn, vpn, np.where(u < on_vpn + on_mobile, mobile, usual))
        picked: Ints = address[session]
        return picked

    def _models(self, rng: Rng, people: People, rows: Rows) -> Ints:
        n = len(rows)
        model = np.where(rng.random(n) < 0.85, people.model[rows.who], market.models(rng, people.taste, n))
        new = (rows.ts >= people.adopts_s[rows.who]) & (rng.random(n) < 0.65)
        picked: Ints = np.where(new, market.NEW, model)
        return picked


def _names(prefix: str, numbers: Ints, mask: int) -> pl.Series:
    """Opaque, unique names: a bijection of 62-bit numbers, so that no order shows."""
    x = (numbers.astype(np.uint64) ^ np.uint64(mask)) * np.uint64(0x9E3779B97F4A7C15)
    x ^= x >> np.uint64(29)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(32)
    text = x.astype(">u8").tobytes().hex()
    return pl.Series([prefix + text[i : i + 16] for i in range(0, len(text), 16)], dtype=pl.String)


def _gather(values: Any, index: Ints) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String).gather(index)


def _with_retries(rng: Rng, rows: Rows) -> Rows:
    """About one request in a hundred is refused or fails and is sent again within seconds."""
    n = len(rows)
    again = np.flatnonzero(rng.random(n) < 0.012)
    order = np.concatenate([np.arange(n), again])
    ts = np.concatenate([rows.ts, rows.ts[again] + np.exp(rng.normal(1.2, 1.0, len(again)))])
    over = {k: (v[order] if isinstance(v, np.ndarray) and len(v) == n else v) for k, v in rows.over.items()}
    failed = np.zeros(n + len(again), dtype=bool)
    failed[again] = True
    over["failed"] = failed
    return replace(
        rows, who=rows.who[order], ts=ts, turn=rows.turn[order], session=rows.session[order],
        prompt=rows.prompt[order], system=rows.system[order], over=over,
    )  # fmt: skip


def moment(start: datetime, seconds: float) -> datetime:
    """Seconds after the world's start as a naive UTC timestamp."""
    return start + timedelta(microseconds=int(seconds * 1e6))
