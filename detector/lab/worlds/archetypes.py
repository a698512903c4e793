"""The honest population: ordinary users, and every look-alike that must not be alerted.

Each archetype states its share of a world's accounts, how much they send, and how they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.lab.worlds import honest, market
from detector.lab.worlds.honest import Maker, alone, batch, one_place
from detector.lab.worlds.persona import Rng
from detector.lab.worlds.town import Town

#: Requests made in one batch. Larger archetypes take several batches, so that memory stays flat.
BATCH_REQUESTS = 250_000


@dataclass(frozen=True)
class Archetype:
    """One kind of honest customer: share of accounts, requests for each account and day, and its maker."""

    name: str
    about: str
    share: float
    per_day: float
    make: Maker
    least: int = 1


_AGENT = alone(
    "coding_agent",
    honest.AGENT,
    clients="agent",
    taste="strong",
    system="agent",
    toolset=market.AGENT_TOOLSETS,
)
_STARTUP = one_place(
    "startup_team", replace(honest.CODE, text="startup", rhythm="office"), 3, 14, card=1.0, mail=True,
    org=True,
    program="startup", home=0.5,
)  # fmt: skip
_ENTERPRISE = one_place(
    "enterprise",
    honest.OFFICE,
    90,
    260,
    card=1.0,
    mail=True,
    org=True,
    program="enterprise",
    office=6,
    home=0.4,
)
_HACKATHON = one_place(
    "hackathon", replace(honest.CODE, text="hack", burst=0.3), 25, 110, card=0.0, mail=False, org=False,
    program="free", office=3, home=0.3, wave_h=5.0,
)  # fmt: skip
_ARCHETYPES = (
    Archetype("chat_user", "private chat users", 0.225, 5, alone("chat_user", honest.CHAT)),
    Archetype(
        "developer", "developers of small programs", 0.11, 9,
        alone("developer", honest.CODE, clients="sdk", taste="strong"),
    ),
    Archetype("student", "students on their own", 0.06, 6, alone("student", honest.STUDENT, taste="cheap")),
    Archetype("translator", "translators", 0.03, 9, alone("translator", honest.TRANSLATE)),
    Archetype("writer", "writers", 0.04, 8, alone("writer", honest.WRITE, taste="strong")),
    Archetype("analyst", "data analysts", 0.04, 9, alone("analyst", honest.ANALYSE, clients="any")),
    Archetype(
        "multilingual", "people who write in other languages", 0.06, 6,
        alone("multilingual", replace(honest.CHAT, text="foreign")),
    ),
    Archetype("coding_agent", "coding agents: one client and system prompt by the thousand", 0.13, 26,
    _AGENT),
    Archetype("app_builder", "small applications with an own system prompt", 0.05, 18, honest.apps),
    Archetype(
        "carrier_user", "people on carrier NAT, VPNs and shared exits", 0.04, 5,
        alone("carrier_user", honest.CHAT, vpn=0.3, mobile=0.45, virtual=0.2),
    ),
    Archetype("family", "households on one card and line", 0.02, 4, honest.family, 4),
    Archetype("startup_team", "teams on one card and office line", 0.035, 14, _STARTUP, 6),
    Archetype("enterprise", "hundreds of accounts on one SSO domain", 0.06, 6, _ENTERPRISE, 12),
    Archetype("classroom", "one NAT, one assignment", 0.035, 4, honest.classroom, 10),
    Archetype("hackathon", "dozens of sign-ups in an afternoon", 0.02, 12, _HACKATHON, 10),
    Archetype("evaluator", "unrelated runs of the same public benchmarks", 0.012, 110, honest.evaluators, 6),
    Archetype(
        "pipeline", "retrieval and classification, one template over thousands of documents", 0.02, 90,
        batch("pipeline", honest.BATCH), 4,
    ),
    Archetype(
        "judge", "programs that have answers graded, many by one published form", 0.012, 55,
        batch("judge", honest.JUDGE, servers=0.5), 4,
    ),
    Archetype(
        "library_user", "people who paste prompts of a public library", 0.03, 6,
        alone("library_user", honest.LIBRARY, clients="any"), 4,
    ),
    Archetype("aggregator", "contracted resellers", 0.003, 450, honest.aggregator, 2),
    Archetype("permitted_synthetic", "synthetic data by contract", 0.0015, 250, honest.permitted, 1),
    Archetype("load_test", "load tests", 0.002, 120, batch("load_test", honest.LOAD, sigma=0.8), 1),
    Archetype("ci_fleet", "nightly test suites", 0.006, 35, batch("ci_fleet", honest.CI, sigma=0.8), 2),
    Archetype(
        "red_team", "red teams", 0.0025, 40,
        alone("red_team", honest.RED, 0.7, clients="sdk", taste="strong", system="none"),
    ),
)  # fmt: skip
ARCHETYPES: dict[str, Archetype] = {a.name: a for a in _ARCHETYPES}


def populate(
    town: Town, names: tuple[str, ...], n: int, requests: float, rng_of: Callable[[str], Rng]
) -> None:
    """Make ``n`` honest accounts of these archetypes, which send about ``requests`` in all.

    The mix varies from world to world: shares and volumes are drawn around those of the archetypes.

    Raises
    ------
    ValueError : ``n`` is less than the archetypes need.
    """
    rng = rng_of("mix")
    chosen = [ARCHETYPES[name] for name in names]
    least = np.array([a.least for a in chosen])
    if least.sum() > n:
        raise ValueError(
            f"{n} honest accounts are too few for {len(chosen)} archetypes: {least.sum()} needed"
        )
    share = np.array([a.share for a in chosen]) * np.exp(rng.normal(0, 0.2, len(chosen)))
    counts = np.maximum(np.round(share / share.sum() * n).astype(int), least)
    # Rounding and the minima miss the total; the largest archetypes absorb the difference.
    while counts.sum() != n:
        counts[int(np.argmax(counts - least))] += 1 if counts.sum() < n else -1
    wanted = np.array([a.per_day for a in chosen]) * np.exp(rng.normal(0, 0.15, len(chosen)))
    mean = wanted * requests / float((wanted * counts).sum())
    for archetype, count, each in zip(chosen, counts.tolist(), mean.tolist(), strict=True):
        batches = max(1, min(count // max(archetype.least, 1), round(count * each / BATCH_REQUESTS)))
        for k, part in enumerate(np.array_split(np.arange(count), batches)):
            archetype.make(town, rng_of(f"{archetype.name}{k or ''}"), len(part), each)
