"""Makers of honest customers: how each kind of account is settled and what it sends.

Each habit here is a way to use the service. Campaigns use the same habits for their ordinary traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from detector.lab.worlds import clock
from detector.lab.worlds.grammar import fill
from detector.lab.worlds.network import COUNTRIES
from detector.lab.worlds.people import Traits, company_domain, customers, settle, token
from detector.lab.worlds.persona import Habit, Ints, People, Rng, Rows
from detector.lab.worlds.texts import TEXTS
from detector.lab.worlds.town import Town

Maker = Callable[[Town, Rng, int, float], None]

CHAT = Habit("chat", odds=0.002)
CODE = Habit(
    "code",
    rhythm="late",
    single=0.3,
    more=3.0,
    gap_s=130,
    out=(5.9, 1.0),
    context=(4.5, 1.6),
    use="code",
    odds=0.035,
)
AGENT = Habit(
    "agent", rhythm="office", single=0.12, more=9.0, gap_s=28, gap_sigma=1.3, out=(4.6, 1.3),
    context=(8.7, 1.2), use="code", tools=0.93, images=0.01, stream=0.95, sessions=0.9,
)  # fmt: skip
STUDENT = Habit("student", rhythm="class", single=0.4, more=2.2, out=(5.6, 0.8))
OFFICE = Habit("staff", rhythm="office", single=0.5, more=1.8, context=(4.5, 1.8))
TRANSLATE = Habit("translator", rhythm="office", single=0.55, more=1.5, gap_s=150, out=(4.7, 0.8))
WRITE = Habit("writer", rhythm="late", single=0.35, more=2.6, gap_s=170, out=(6.2, 0.8))
ANALYSE = Habit(
    "analyst", rhythm="office", single=0.4, more=2.4, out=(5.9, 0.9), context=(5.5, 1.5), images=0.06, odds=0.07,
)  # fmt: skip
BATCH = Habit(
    "documents", rhythm="flat", single=0.25, more=45.0, gap_s=4.0, gap_sigma=1.6, burst=1.5, out=(3.4, 1.3),
    context=(6.4, 1.1), use="batch", stream=0.1, sessions=0.15, logprobs=0.05, several=0.02, images=0.04,
    odds=0.35,
)  # fmt: skip
SERVICE = Habit(
    "everything", single=0.5, more=2.0, burst=3.0, context=(5.0, 1.5), stream=0.8, sessions=0.6,
    odds=0.01,
)  # fmt: skip
LOAD = replace(
    BATCH,
    text="load",
    more=150.0,
    gap_s=0.7,
    gap_sigma=1.0,
    single=0.05,
    out=(1.5, 0.8),
    context=(1.0, 0.5),
    odds=0.0,
)
JUDGE = replace(
    BATCH, text="judge", more=60.0, out=(4.8, 0.9), context=(2.5, 0.8), several=0.0, odds_of="verdict"
)
LIBRARY = replace(CHAT, text="library", single=0.6, more=1.2, out=(6.1, 0.8))
CI = replace(
    BATCH, text="ci", more=12.0, gap_s=3.0, rhythm="office", out=(4.0, 1.0), context=(3.0, 1.0), odds=0.1
)
#: Share of programs on rented machines that run on hosted functions, behind exits that strangers share.
SERVERLESS = 0.3
RED = Habit("redteam", rhythm="office", single=0.3, more=5.0, gap_s=40, out=(4.8, 1.0), refused=0.3, odds=0.1)


def units(rng: Rng, n: int, low: int, high: int) -> list[int]:
    """Split ``n`` accounts into units of ``low`` to ``high``. A rest smaller than ``low`` joins the last unit."""
    sizes: list[int] = []
    left = n
    while left > 0:
        size = int(rng.integers(low, high + 1))
        if left - size < low:
            size = left
        sizes.append(min(size, left))
        left -= sizes[-1]
    return sizes


def _one_country(town: Town, rng: Rng, size: int) -> Ints:
    return np.full(size, rng.choice(len(COUNTRIES), p=town.network.country_weights))


def alone(name: str, habit: Habit, sigma: float = 1.25, **traits: object) -> Maker:
    """Unrelated people of one kind."""

    def make(town: Town, rng: Rng, n: int, mean: float) -> None:
        people = settle(town, rng, n, replace(Traits(name, use=habit.use), **traits))  # type: ignore[arg-type]
        town.speak(rng, people, habit, clock.volumes(rng, n, mean=mean, sigma=sigma), TEXTS[habit.text])

    return make


def one_place(
    name: str, habit: Habit, low: int, high: int, *, card: float, mail: bool, org: bool, program: str,
    office: int = 1, home: float = 0.25, wave_h: float | None = None,
) -> Maker:  # fmt: skip
    """Units of accounts on one office line, often with one card, mail domain or organisation.

    ``card`` and ``home`` are the shares of people who pay with the common card and who also work from home. ``wave_h``
    is the number of hours within which most of a unit sign up.
    """

    def make(town: Town, rng: Rng, n: int, mean: float) -> None:
        for size in units(rng, n, low, high):
            country = _one_country(town, rng, size)
            line = town.network.office(int(country[0]), office)
            at_work = line[rng.integers(len(line), size=size)]
            houses = np.array([town.network.home(int(c)) for c in country])
            away = np.where(rng.random(size) < home, houses, at_work)
            old = rng.random() < 0.75
            began = -rng.exponential(150) * clock.DAY_S if old else rng.uniform(0, 0.5) * town.end_s
            spread = (wave_h if wave_h is not None else rng.choice([4, 72, 24 * 40])) * 3600
            common, domain = token(rng, "pm"), company_domain(town, rng)
            pays = (rng.random(size) < card).tolist()
            people = settle(town, rng, size, Traits(
                name, clients="any", use=habit.use, country=country, program=program, vpn=0.02, mobile=0.06,
                addresses=np.stack([at_work, away], axis=1), signup=at_work,
                born_s=np.minimum(began + rng.exponential(spread / 2, size), 0.9 * town.end_s),
                payment=[common if p else token(rng, "pm") for p in pays],
                mail=[domain] * size if mail else None,
                org=[token(rng, "org")] * size if org else None,
            ))  # fmt: skip
            town.speak(rng, people, habit, clock.volumes(rng, size, mean=mean, sigma=1.0), TEXTS[habit.text])

    return make


def classroom(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Pupils behind one NAT who ask about one assignment in the same hours and nearly the same words."""
    for size in units(rng, n, 12, 45):
        country = _one_country(town, rng, size)
        line = town.network.office(int(country[0]), int(rng.integers(1, 4)))
        campus = line[rng.integers(len(line), size=size)]
        houses = np.array([town.network.home(int(c)) for c in country])
        lesson = rng.uniform(-20, 0.5 * town.days) * clock.DAY_S
        school = company_domain(town, rng) if rng.random() < 0.7 else None
        people = settle(town, rng, size, Traits(
            "classroom", country=country, addresses=np.stack([campus, houses], axis=1), signup=campus,
            born_s=lesson + rng.exponential(1500 if rng.random() < 0.6 else 86400, size),
            payment=[None] * size if rng.random() < 0.6 else None, mail=[school] * size if school else None,
            program="education", system="none", foreign=0.0, vpn=0.01, mobile=0.1,
        ))  # fmt: skip
        subject = rng.choice(["maths", "history", "science", "code", "data"])
        task = town.grammar.make(rng, f"ask.{subject}", 3)
        rate = clock.volumes(rng, size, mean=mean, sigma=0.7)
        who, ts, turn, session = town.times(rng, people, STUDENT, rate)
        if not len(who):
            continue
        wrapped = town.grammar.fill(rng, "class.wrap", len(who), Q=task[rng.integers(3, size=len(who))])
        prompt, system = TEXTS["student"](town, rng, people, who, turn, session)
        prompt = np.where((turn == 1) & (rng.random(len(who)) < 0.6), wrapped, prompt)
        town.emit(rng, people, STUDENT, Rows(who, ts, turn, session, prompt, system))


def _move_to_servers(town: Town, rng: Rng, people: People, share: float) -> None:
    """Move a share of these people's programs to rented servers."""
    n = len(people)
    first, second = (np.array([town.network.hosting() for _ in range(n)]) for _ in range(2))
    place = rng.random(n)
    at, hosted = place < share, place < share * SERVERLESS
    people.addresses[at] = np.stack([first, second], axis=1)[at]
    people.addresses[hosted] = town.network.serverless(int(hosted.sum()))


def evaluators(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Unrelated people who each run a public benchmark item by item, with step-by-step wording."""
    benchmarks = town.benchmarks(rng)
    weight = 1 / np.arange(1, len(benchmarks) + 1)
    people = settle(
        town,
        rng,
        n,
        Traits("evaluator", clients="sdk", taste="strong", use="batch", system="none", foreign=0.0),
    )
    _move_to_servers(town, rng, people, 0.6)
    habit = replace(
        BATCH,
        more=120.0,
        single=0.1,
        out=(5.6, 0.8),
        context=(2.5, 0.8),
        logprobs=0.1,
        several=0.08,
        odds_of="exam",
    )
    who, ts, turn, session = town.times(rng, people, habit, clock.volumes(rng, n, mean=mean, sigma=0.8))
    if not len(who):
        return
    bench = rng.choice(len(benchmarks), size=n, p=weight / weight.sum())[who]
    # Runs are resumed and sampled, so each starts at another item and continues in order.
    start = rng.integers(1000, size=int(session.max()) + 1)[session]
    prompt = np.empty(len(who), dtype=object)
    for b, items in enumerate(benchmarks):
        at = bench == b
        prompt[at] = items[(start + turn - 1)[at] % len(items)]
    single = Rows(who, ts, np.ones_like(turn), np.arange(len(who)), prompt, people.system[who])
    town.emit(rng, people, habit, single)


def batch(name: str, habit: Habit, *, servers: float = 0.8, sigma: float = 1.3) -> Maker:
    """Accounts of programs. Each request is a conversation of its own."""

    def make(town: Town, rng: Rng, n: int, mean: float) -> None:
        people = settle(town, rng, n, Traits(
            name, clients="sdk" if rng.random() < 0.6 else "server", taste="cheap", use=habit.use,
            system="own",
            foreign=0.0, vpn=0.0, mobile=0.0,
        ))  # fmt: skip
        _move_to_servers(town, rng, people, servers)
        who, ts, turn, session = town.times(rng, people, habit, clock.volumes(rng, n, mean=mean, sigma=sigma))
        if len(who):
            prompt, system = TEXTS[habit.text](town, rng, people, who, turn, session)
            town.emit(
                rng, people, habit, Rows(who, ts, np.ones_like(turn), np.arange(len(who)), prompt, system)
            )

    return make


def apps(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Small applications with their own system prompt. One in seven ships its key inside a mobile app."""
    accounts = settle(town, rng, n, Traits("app_builder", clients="server", taste="cheap", system="own"))
    _move_to_servers(town, rng, accounts, 0.7)
    crowd = customers(town, rng, accounts, 7, Traits("", clients="server", taste="cheap", system="none"))
    row = np.searchsorted(accounts.account, crowd.account)
    crowd.system, crowd.clients, crowd.model = (
        accounts.system[row],
        accounts.clients[row],
        accounts.model[row],
    )
    inside = (rng.random(n) < 0.15)[row]
    homes = np.array([town.network.home(int(c)) for c in crowd.country])
    crowd.addresses[inside] = np.stack([homes, homes], axis=1)[inside]
    volume = clock.volumes(rng, n, mean=mean, sigma=1.2)[row] / np.bincount(row)[row]
    town.speak(rng, crowd, replace(SERVICE, text="app", odds=0.13), volume, TEXTS["app"])


def aggregator(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Contracted resellers: many people use one or a few accounts through the reseller's servers."""
    for size in units(rng, n, 1, 4):
        servers = np.array([town.network.hosting() for _ in range(size)])
        other = np.array([town.network.neighbour(int(a)) for a in servers])
        domain, card, org = company_domain(town, rng), token(rng, "pm"), token(rng, "org")
        traits = Traits(
            "aggregator", clients="server", addresses=np.stack([servers, other], axis=1),
            payment=[card] * size,
            mail=[domain] * size, org=[org] * size, program="partner", vpn=0.0, mobile=0.0,
        )  # fmt: skip
        crowd = customers(town, rng, settle(town, rng, size, traits), 60, traits)
        town.speak(rng, crowd, SERVICE, np.full(len(crowd), mean * size / len(crowd)), TEXTS["everything"])


def family(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Households: two to four accounts on one card and one line."""
    for size in units(rng, n, 2, 4):
        country = _one_country(town, rng, size)
        line = np.full(size, town.network.home(int(country[0])))
        traits = Traits("family", country=country, addresses=line, payment=[token(rng, "pm")] * size)
        people = settle(town, rng, size, traits)
        town.speak(rng, people, CHAT, clock.volumes(rng, size, mean=mean, sigma=1.1), TEXTS["chat"])


def permitted(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Customers who generate synthetic data by contract: their wording looks like harvest."""
    habit = replace(BATCH, out=(6.2, 0.7), context=(2.0, 0.7), logprobs=0.0, odds=0.15, odds_of="verdict")
    people = settle(town, rng, n, Traits(
        "permitted_synthetic", clients="sdk", taste="strong", use="batch", program="partner", foreign=0.0
    ))  # fmt: skip
    who, ts, turn, _ = town.times(rng, people, habit, clock.volumes(rng, n, mean=mean, sigma=0.8))
    if not len(who):
        return
    lead = town.grammar.make(rng, "synth.lead", n)
    prompt = fill(lead[who], Q=town.grammar.make(rng, "ask.business", len(who)))
    rows = Rows(who, ts, np.ones_like(turn), np.arange(len(who)), prompt, people.system[who])
    town.emit(rng, people, habit, rows)
