"""A world under construction: its accounts, the people who use them, the requests they send.

Archetypes and campaigns describe who does what. Only this module and ``dress`` turn that into rows, so honest and
abusive traffic differ in nothing but the description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detector.lab.worlds import clock
from detector.lab.worlds.dress import Counter, dress
from detector.lab.worlds.grammar import Grammar, Texts, fill
from detector.lab.worlds.network import FIRST_ISP_ASN, Network
from detector.lab.worlds.odds import read_odds
from detector.lab.worlds.persona import Floats, Habit, Ints, People, Rng, Rows, Victim

#: Rows kept in memory before they go to the spool, where there is one.
SPOOL_ROWS = 400_000


class Town:
    """Collects accounts, events and request frames of one world.

    With a ``spool`` folder, frames are written there as Parquet, so that memory does not grow with the requests.
    """

    def __init__(
        self, *, rng: Rng, grammar: Grammar, start: date, days: int, population: int, release: bool,
        spool: Path | None = None,
    ) -> None:  # fmt: skip
        self.rng = rng
        self.grammar = grammar
        self.start = datetime(start.year, start.month, start.day)
        self.days = days
        self.end_s = days * clock.DAY_S
        self.network = Network(rng, population)
        self.release_s = float(days * rng.uniform(0.35, 0.6) * clock.DAY_S) if release else np.inf
        self.accounts: dict[str, list[Any]] = {}
        self.events: list[tuple[float, int, str]] = []
        self.frames: list[pl.DataFrame] = []
        self.parts: list[Path] = []
        self.born_s: list[float] = []
        self.until_s: list[float] = []
        self.counter = Counter(int(rng.integers(1 << 62)))
        self._spool = spool
        self._benchmarks: list[Texts] = []
        self._exams: list[Texts] = []
        self._popular: Texts = np.zeros(0, dtype=object)
        self._stock: dict[str, Texts] = {}
        self._victims: list[Victim] = []
        self._names = rng.permutation(1 << 20)
        #: How common it is in this world that programs read the odds of short answers.
        self.odds_fashion = float(np.exp(rng.normal(0, 0.4)))

    # -- accounts ---------------------------------------------------------------------------------

    def enroll(self, n: int, columns: Mapping[str, Any], born_s: Floats) -> Ints:
        """Add ``n`` accounts and give their numbers. A column has ``n`` values, or one value for all accounts."""
        first = len(self.born_s)
        self.born_s += born_s.tolist()
        self.until_s += [np.inf] * n
        self.counter.keys += self.rng.choice([1, 2, 3], size=n, p=[0.8, 0.15, 0.05]).tolist()
        # Names come from a shuffled list, so that an account's name says nothing about its number.
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
        """End an account's traffic at a time, and record the event that ended it."""
        self.until_s[account] = min(self.until_s[account], at_s)
        self.events.append((at_s, account, event))

    def relabel(self, accounts: Ints, **columns: Any) -> None:
        """Change facts or truth of enrolled accounts."""
        for name, value in columns.items():
            for account in accounts.tolist():
                self.accounts[name][account] = value

    def open_exits(self, rng: Rng) -> None:
        """Turn a share of the honest homes into residential exits that strangers use too."""
        numbers = {ip: i for i, ip in enumerate(self.network.ip)}
        homes = np.array([numbers[ip] for ip in self.accounts["signup_ip"]], dtype=np.int64)
        residential = np.array([a >= FIRST_ISP_ASN for a in self.network.asn])
        self.network.open_exits(homes[residential[homes]], rng.uniform(0.05, 0.12), len(homes) // 8 + 4)

    def victims(self, rng: Rng, n: int) -> list[Victim]:
        """Up to ``n`` honest accounts to frame, with what an attacker can see of them."""
        pick = rng.permutation(len(self._victims))[:n]
        return [self._victims[i] for i in pick.tolist()]

    def benchmarks(self, rng: Rng) -> list[Texts]:
        """The public benchmarks of this world: lists of wrapped items, the same for all who run them."""
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

    def exams(self, rng: Rng) -> list[Texts]:
        """The public multiple-choice and likelihood tests of this world, the same for all who run them."""
        if not self._exams:
            for domain in ("science", "history", "law", "life"):
                size = int(rng.integers(200, 800))
                lead = np.full(size, self.grammar.one(rng, "odds.exam"), dtype=object)
                options = self.grammar.make(rng, "fake.answer", size)
                self._exams.append(fill(lead, Q=self.grammar.make(rng, f"ask.{domain}", size), A=options))
        return self._exams

    def popular(self) -> Texts:
        """Popular prompts from the web, most popular first, with an unfilled {Q}. A world has one list."""
        if not len(self._popular):
            prompts = np.unique(self.grammar.make(self.rng, "popular.prompt", 60).astype(str)).astype(object)
            self._popular = self.rng.permutation(prompts)
        return self._popular

    def stock_templates(self, rule: str, *, most: int = 8) -> Texts:
        """The 3 to ``most`` texts of a kind that come with frameworks and libraries, the same for all their users."""
        if rule not in self._stock:
            self._stock[rule] = self.grammar.make(self.rng, rule, int(self.rng.integers(3, most + 1)))
        return self._stock[rule]

    # -- traffic ----------------------------------------------------------------------------------

    def times(self, rng: Rng, people: People, habit: Habit, rate: Floats) -> tuple[Ints, Floats, Ints, Ints]:
        """Draw sessions and turns of every person: who, when, which turn, which session.

        ``rate`` is the expected number of requests of each person in the whole window.
        """
        count = rng.poisson(rate / habit.turns_mean)
        owner = np.repeat(np.arange(len(people)), count)
        starts = clock.session_starts(
            rng, owner, people.zone_h, rhythm=habit.rhythm, days=self.days,
            first_weekday=self.start.weekday(), burst=habit.burst,
        )  # fmt: skip
        # A person who signs up or is stopped inside the window has all sessions in the remaining time.
        low = np.clip(people.born_s, 0, self.end_s)[owner]
        high = np.clip(people.until_s, 0, self.end_s)[owner]
        squeeze = (starts < low) | (starts >= high)
        starts = np.where(squeeze, low + starts / self.end_s * np.maximum(high - low, 0), starts)
        counts = clock.turns(rng, len(starts), single=habit.single, more=habit.more)
        session, ts, turn = clock.unroll(rng, starts, counts, gap_s=habit.gap_s, sigma=habit.gap_sigma)
        who = owner[session]
        keep = (ts >= people.born_s[who]) & (ts < np.minimum(people.until_s[who], self.end_s))
        return who[keep], ts[keep], turn[keep], session[keep]

    def speak(self, rng: Rng, people: People, habit: Habit, rate: Floats, maker: TextMaker) -> int:
        """Send all requests of these people in this habit, and give their number."""
        who, ts, turn, session = self.times(rng, people, habit, rate)
        if not len(who):
            return 0
        prompt, system = maker(self, rng, people, who, turn, session)
        return self.emit(rng, people, habit, Rows(who, ts, turn, session, prompt, system))

    def emit(self, rng: Rng, people: People, habit: Habit, rows: Rows, *, harvest: bool = False) -> int:
        """Dress the rows, keep them, and give their number."""
        if habit.odds and len(rows):
            rows = read_odds(self, rng, people, habit, rows)
        frame = dress(rng, self.network, people, habit, rows, self.counter, harvest=harvest)
        honest = not self.accounts["label"][int(people.account[0])]
        if honest and len(self._victims) < 4000:
            self._remember(rng, people, rows)
        self.frames.append(frame)
        if self._spool and sum(len(f) for f in self.frames) > SPOOL_ROWS:
            self.flush()
        return len(frame)

    def flush(self) -> None:
        """Move the frames in memory to the spool."""
        if self._spool and self.frames:
            part = self._spool / f"part-{len(self.parts):05d}.parquet"
            pl.concat(self.frames).write_parquet(part, compression="zstd", compression_level=1)
            self.parts.append(part)
            self.frames.clear()

    def _remember(self, rng: Rng, people: People, rows: Rows) -> None:
        """Keep a few honest accounts of each kind as possible victims of poisoning."""
        for at in rng.integers(len(rows), size=12).tolist():
            person = int(rows.who[at])
            mine = np.flatnonzero(rows.who == person)[:8]
            self._victims.append(
                Victim(
                    int(people.account[person]), int(people.addresses[person, 0]), int(people.clients[person,
                    0]),
                    [str(p) for p in rows.prompt[mine].tolist()],
                )
            )  # fmt: skip


TextMaker = Callable[[Town, Rng, People, Ints, Ints, Ints], tuple[Texts, Texts]]


def moment(start: datetime, seconds: float) -> datetime:
    """Seconds after the world's start as a naive UTC timestamp."""
    return start + timedelta(microseconds=int(seconds * 1e6))
