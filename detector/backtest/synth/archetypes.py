"""The honest population: ordinary users and every look-alike that must not be alerted.

Each archetype says how many of a world's accounts it has, how much they send, and how to make them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.backtest.synth import clock
from detector.backtest.synth.grammar import fill
from detector.backtest.synth.network import COUNTRIES
from detector.backtest.synth.people import Traits, company_domain, customers, settle, token
from detector.backtest.synth.texts import TEXTS
from detector.backtest.synth.town import Habit, Rng, Town

CHAT = Habit("chat")
CODE = Habit(
    "code", rhythm="late", single=0.3, more=3.0, gap_s=130, out=(5.9, 1.0), context=(4.5, 1.6), use="code"
)
AGENT = Habit(
    "agent", rhythm="office", single=0.12, more=9.0, gap_s=28, gap_sigma=1.3, out=(4.6, 1.3), context=(8.7, 1.2),
    use="code", tools=0.93, images=0.01, stream=0.95, sessions=0.9, system=1.0,
)  # fmt: skip
STUDENT = Habit("student", rhythm="class", single=0.4, more=2.2, out=(5.6, 0.8))
OFFICE = Habit("staff", rhythm="office", single=0.5, more=1.8, context=(4.5, 1.8))
TRANSLATE = Habit("translator", rhythm="office", single=0.55, more=1.5, gap_s=150, out=(4.7, 0.8))
WRITE = Habit("writer", rhythm="late", single=0.35, more=2.6, gap_s=170, out=(6.2, 0.8))
ANALYSE = Habit(
    "analyst", rhythm="office", single=0.4, more=2.4, out=(5.9, 0.9), context=(5.5, 1.5), images=0.06
)
BATCH = Habit(
    "documents", rhythm="flat", single=0.25, more=45.0, gap_s=4.0, gap_sigma=1.6, burst=1.5, out=(3.4, 1.3),
    context=(6.4, 1.1), use="batch", stream=0.1, sessions=0.15, system=0.7, logprobs=0.05, several=0.02, images=0.04,
)  # fmt: skip
SERVICE = Habit(
    "everything", rhythm="evening", single=0.5, more=2.0, burst=3.0, context=(5.0, 1.5), stream=0.8, sessions=0.6,
)  # fmt: skip


@dataclass(frozen=True)
class Archetype:
    """One kind of honest customer: share of accounts, requests an account and day, and its maker."""

    name: str
    about: str
    share: float
    per_day: float
    make: Callable[[Town, Rng, int, float], None]
    least: int = 1


def _sizes(rng: Rng, n: int, low: int, high: int) -> list[int]:
    """Splits ``n`` accounts into units of ``low`` to ``high``; what remains joins the last."""
    sizes: list[int] = []
    left = n
    while left > 0:
        size = int(rng.integers(low, high + 1))
        if left - size < low:
            size = left
        sizes.append(min(size, left))
        left -= sizes[-1]
    return sizes


def _plain(
    name: str, habit: Habit, traits: Traits, sigma: float = 1.25
) -> Callable[[Town, Rng, int, float], None]:
    def make(town: Town, rng: Rng, n: int, mean: float) -> None:
        people = settle(town, rng, n, replace(traits, archetype=name, use=habit.use))
        town.speak(rng, people, habit, clock.volumes(rng, n, mean=mean, sigma=sigma), TEXTS[habit.text])

    return make


def _one_place(
    name: str, habit: Habit, low: int, high: int, *, shared_card: float, shared_mail: bool, org: bool,
    program: str | None, clients: str = "web", office: int = 1, home: float = 0.25, wave_h: float | None = None,
    taste: str = "mixed",
) -> Callable[[Town, Rng, int, float], None]:  # fmt: skip
    """Units of accounts that share an office line and often a card, a mail domain, an organisation.

    ``home`` is the share of people who also work from home; ``wave_h``: all sign up within so many hours.
    """

    def make(town: Town, rng: Rng, n: int, mean: float) -> None:
        for size in _sizes(rng, n, low, high):
            country = np.full(size, rng.choice(len(COUNTRIES), p=town.network.country_weights))
            line = town.network.office(int(country[0]), office)
            at_work = line[rng.integers(len(line), size=size)]
            houses = np.array([town.network.home(int(c)) for c in country])
            away = np.where(rng.random(size) < home, houses, at_work)
            began = (
                -rng.exponential(150) * clock.DAY_S
                if rng.random() < 0.75
                else rng.uniform(0, 0.5) * town.end_s
            )
            spread = (wave_h if wave_h is not None else rng.choice([4, 72, 24 * 40])) * 3600
            born = np.minimum(began + rng.exponential(spread / 2, size), 0.9 * town.end_s)
            card = token(rng, "pm")
            pays = rng.random(size) < shared_card
            payment = [card if p else token(rng, "pm") for p in pays.tolist()]
            domain = company_domain(town, rng)
            name_of_org = token(rng, "org")
            traits = Traits(
                name, clients=clients, taste=taste, use=habit.use, country=country,
                addresses=np.stack([at_work, away], axis=1), signup=at_work, born_s=born, payment=list(payment),
                mail=[domain] * size if shared_mail else None, org=[name_of_org] * size if org else None,
                program=program, vpn=0.02, mobile=0.06,
            )  # fmt: skip
            people = settle(town, rng, size, traits)
            rate = clock.volumes(rng, size, mean=mean, sigma=1.0)
            town.speak(rng, people, habit, rate, TEXTS[habit.text])

    return make


def _classroom(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Pupils behind one NAT with one assignment, asked about in the same hours and nearly the same words."""
    for size in _sizes(rng, n, 12, 45):
        country = np.full(size, rng.choice(len(COUNTRIES), p=town.network.country_weights))
        line = town.network.office(int(country[0]), int(rng.integers(1, 4)))
        campus = line[rng.integers(len(line), size=size)]
        houses = np.array([town.network.home(int(c)) for c in country])
        lesson = rng.uniform(-20, 0.5 * town.days) * clock.DAY_S
        born = lesson + rng.exponential(1500 if rng.random() < 0.6 else 86400, size)
        school = company_domain(town, rng) if rng.random() < 0.7 else None
        traits = Traits(
            "classroom", country=country, addresses=np.stack([campus, houses], axis=1), signup=campus, born_s=born,
            payment=[None] * size if rng.random() < 0.6 else None, mail=[school] * size if school else None,
            program="education", system="none", foreign=0.0, vpn=0.01, mobile=0.1,
        )  # fmt: skip
        people = settle(town, rng, size, traits)
        task = town.grammar.make(rng, f"ask.{rng.choice(['maths', 'history', 'science', 'code', 'data'])}", 3)
        rate = clock.volumes(rng, size, mean=mean, sigma=0.7)
        who, ts, turn, session = town.times(rng, people, STUDENT, rate)
        if not len(who):
            continue
        wrapped = town.grammar.fill(rng, "class.wrap", len(who), Q=task[rng.integers(3, size=len(who))])
        prompt, system = TEXTS["student"](town, rng, people, who, turn, session)
        prompt = np.where((turn == 1) & (rng.random(len(who)) < 0.6), wrapped, prompt)
        town.send(rng, people, STUDENT, who, ts, turn, session, prompt, system)


def _evaluators(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Unrelated people who run one of a few public benchmarks, item by item, with step-by-step wording."""
    benchmarks = town.benchmarks(rng)
    weight = 1 / np.arange(1, len(benchmarks) + 1)
    traits = Traits("evaluator", clients="sdk", taste="strong", use="batch", system="none", foreign=0.0)
    people = settle(town, rng, n, traits)
    servers = np.array([town.network.hosting() for _ in range(n)])
    at_server = rng.random(n) < 0.6
    people.addresses[at_server] = servers[at_server, None]
    habit = replace(
        BATCH, more=120.0, out=(5.6, 0.8), context=(2.5, 0.8), logprobs=0.1, several=0.08, single=0.1
    )
    rate = clock.volumes(rng, n, mean=mean, sigma=0.8)
    who, ts, turn, session = town.times(rng, people, habit, rate)
    if not len(who):
        return
    bench = rng.choice(len(benchmarks), size=n, p=weight / weight.sum())[who]
    # Runs are resumed and sampled: each starts somewhere else in the list and goes on in order.
    start = rng.integers(1000, size=int(session.max()) + 1)[session]
    prompt = np.empty(len(who), dtype=object)
    for b, items in enumerate(benchmarks):
        at = bench == b
        prompt[at] = items[(start + turn - 1)[at] % len(items)]
    town.send(
        rng, people, habit, who, ts, np.ones_like(turn), np.arange(len(who)), prompt, people.system[who]
    )


def _batch(
    name: str,
    habit: Habit,
    *,
    program: str | None = None,
    servers: float = 0.8,
    sigma: float = 1.3,
    taste: str = "cheap",
) -> Callable[[Town, Rng, int, float], None]:
    """Accounts driven by a program, each request a conversation of its own."""

    def make(town: Town, rng: Rng, n: int, mean: float) -> None:
        traits = Traits(
            name, clients="sdk" if rng.random() < 0.6 else "server", taste=taste, use=habit.use, system="own",
            program=program, foreign=0.0, vpn=0.0, mobile=0.0,
        )  # fmt: skip
        people = settle(town, rng, n, traits)
        at_server = rng.random(n) < servers
        first, second = (np.array([town.network.hosting() for _ in range(n)]) for _ in range(2))
        people.addresses[at_server] = np.stack([first, second], axis=1)[at_server]
        rate = clock.volumes(rng, n, mean=mean, sigma=sigma)
        who, ts, turn, session = town.times(rng, people, habit, rate)
        if len(who):
            prompt, system = TEXTS[habit.text](town, rng, people, who, turn, session)
            town.send(rng, people, habit, who, ts, np.ones_like(turn), np.arange(len(who)), prompt, system)

    return make


def _aggregator(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Contracted resellers: each routes many people through one account or a handful, from its own servers."""
    for size in _sizes(rng, n, 1, 4):
        domain, card, org = company_domain(town, rng), token(rng, "pm"), token(rng, "org")
        servers = np.array([town.network.hosting() for _ in range(size)])
        other = np.array([town.network.neighbour(int(a)) for a in servers])
        traits = Traits(
            "aggregator", clients="server", addresses=np.stack([servers, other], axis=1), payment=[card] * size,
            mail=[domain] * size, org=[org] * size, program="partner", vpn=0.0, mobile=0.0,
        )  # fmt: skip
        accounts = settle(town, rng, size, traits)
        crowd = customers(town, rng, accounts, 60, traits)
        town.speak(rng, crowd, SERVICE, np.full(len(crowd), mean * size / len(crowd)), TEXTS["everything"])


def _family(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Households: two to four accounts on one card and one line."""
    for size in _sizes(rng, n, 2, 4):
        country = np.full(size, rng.choice(len(COUNTRIES), p=town.network.country_weights))
        line = np.full(size, town.network.home(int(country[0])))
        card = token(rng, "pm")
        traits = Traits("family", country=country, addresses=line, payment=[card] * size)
        people = settle(town, rng, size, traits)
        town.speak(rng, people, CHAT, clock.volumes(rng, size, mean=mean, sigma=1.1), TEXTS["chat"])


def _permitted(town: Town, rng: Rng, n: int, mean: float) -> None:
    """Customers who generate synthetic data with permission: harvest-like wording, by contract."""
    habit = replace(BATCH, out=(6.2, 0.7), context=(2.0, 0.7), logprobs=0.0)
    traits = Traits(
        "permitted_synthetic", clients="sdk", taste="strong", use="batch", program="partner", foreign=0.0
    )
    people = settle(town, rng, n, traits)
    who, ts, turn, _ = town.times(rng, people, habit, clock.volumes(rng, n, mean=mean, sigma=0.8))
    if not len(who):
        return
    lead = town.grammar.make(rng, "synth.lead", n)
    asked = town.grammar.make(rng, "ask.business", len(who))
    prompt = fill(lead[who], Q=asked)
    town.send(
        rng, people, habit, who, ts, np.ones_like(turn), np.arange(len(who)), prompt, people.system[who]
    )


_LOAD = replace(
    BATCH, text="load", more=150.0, gap_s=0.7, gap_sigma=1.0, single=0.05, out=(1.5, 0.8), context=(1.0, 0.5)
)
_CI = replace(BATCH, text="ci", more=12.0, gap_s=3.0, rhythm="office", out=(4.0, 1.0), context=(3.0, 1.0))
_RED = Habit("redteam", rhythm="office", single=0.3, more=5.0, gap_s=40, out=(4.8, 1.0), system=0.3)

_FOUND = (
    Archetype("chat_user", "private chat users", 0.225, 5.0, _plain("chat_user", CHAT, Traits(""))),
    Archetype("developer", "developers of small programs", 0.11, 9.0, _plain("developer", CODE, Traits("", clients="sdk", taste="strong"))),
    Archetype("student", "students on their own", 0.06, 6.0, _plain("student", STUDENT, Traits("", taste="cheap"))),
    Archetype("translator", "translators", 0.03, 9.0, _plain("translator", TRANSLATE, Traits(""))),
    Archetype("writer", "writers", 0.04, 8.0, _plain("writer", WRITE, Traits("", taste="strong"))),
    Archetype("analyst", "data analysts", 0.04, 9.0, _plain("analyst", ANALYSE, Traits("", clients="any"))),
    Archetype("multilingual", "people who write in other languages", 0.06, 6.0, _plain("multilingual", replace(CHAT, text="foreign"), Traits(""))),
    Archetype("coding_agent", "coding-agent users: one client and system prompt by the thousand", 0.13, 26.0,
              _plain("coding_agent", AGENT, Traits("", clients="agent", taste="strong", system="agent", toolset=(1, 2, 3, 14)))),
    Archetype("app_builder", "small applications with an own system prompt", 0.05, 18.0,
              _plain("app_builder", replace(SERVICE, system=1.0, text="chat"), Traits("", clients="server", taste="cheap", system="own"))),
    Archetype("carrier_user", "people on carrier NAT, VPNs and shared exits", 0.04, 5.0,
              _plain("carrier_user", CHAT, Traits("", vpn=0.3, mobile=0.45, virtual=0.2))),
    Archetype("family", "households on one card and line", 0.02, 4.0, _family, 4),
    Archetype("startup_team", "teams on one card and office line", 0.035, 14.0,
              _one_place("startup_team", replace(CODE, text="startup", rhythm="office"), 3, 14, shared_card=1.0, shared_mail=True,
                         org=True, program="startup", clients="any", home=0.5), 6),
    Archetype("enterprise", "hundreds of accounts on one SSO domain", 0.06, 6.0,
              _one_place("enterprise", OFFICE, 90, 260, shared_card=1.0, shared_mail=True, org=True, program="enterprise",
                         clients="any", office=6, home=0.4), 12),
    Archetype("classroom", "one NAT, one assignment", 0.035, 4.0, _classroom, 10),
    Archetype("hackathon", "dozens of sign-ups in an afternoon", 0.02, 12.0,
              _one_place("hackathon", replace(CODE, text="hack", burst=0.3), 25, 110, shared_card=0.0, shared_mail=False, org=False,
                         program="free", clients="any", office=3, home=0.3, wave_h=5.0), 10),
    Archetype("evaluator", "unrelated runs of the same public benchmarks", 0.012, 110.0, _evaluators, 6),
    Archetype("pipeline", "retrieval and classification with one template over thousands of documents", 0.02, 90.0, _batch("pipeline", BATCH), 4),
    Archetype("aggregator", "contracted resellers", 0.003, 450.0, _aggregator, 2),
    Archetype("permitted_synthetic", "synthetic data by contract", 0.0015, 250.0, _permitted, 1),
    Archetype("load_test", "load tests", 0.002, 120.0, _batch("load_test", _LOAD, sigma=0.8), 1),
    Archetype("ci_fleet", "nightly test suites", 0.006, 35.0, _batch("ci_fleet", _CI, sigma=0.8), 2),
    Archetype("red_team", "red teams", 0.0025, 40.0, _plain("red_team", _RED, Traits("", clients="sdk", taste="strong", system="none"), 0.7), 1),
)  # fmt: skip
ARCHETYPES: dict[str, Archetype] = {a.name: a for a in _FOUND}


def populate(
    town: Town, names: tuple[str, ...], n: int, requests: float, rng_of: Callable[[str], Rng]
) -> None:
    """Makes ``n`` honest accounts of these archetypes sending about ``requests`` in all.

    The mix itself varies from world to world: shares and volumes are drawn around those written above.
    """
    rng = rng_of("mix")
    chosen = [ARCHETYPES[name] for name in names]
    share = np.array([a.share for a in chosen]) * np.exp(rng.normal(0, 0.2, len(chosen)))
    counts = np.maximum(np.round(share / share.sum() * n).astype(int), [a.least for a in chosen])
    # The largest give way so that the total is met.
    while counts.sum() != n:
        at = int(np.argmax(counts - np.array([a.least for a in chosen])))
        counts[at] += 1 if counts.sum() < n else -1
        if counts[at] < 1:
            raise ValueError(f"{n} honest accounts are too few for {len(chosen)} archetypes")
    wanted = np.array([a.per_day for a in chosen]) * np.exp(rng.normal(0, 0.15, len(chosen)))
    factor = requests / float((wanted * counts).sum())
    for archetype, count, mean in zip(chosen, counts.tolist(), (wanted * factor).tolist(), strict=True):
        archetype.make(town, rng_of(archetype.name), count, mean)
