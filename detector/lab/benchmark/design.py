"""The worlds of the benchmark: seeds never trained on, every campaign kind on every evasion level.

Report seeds start at ``FIRST_SEED``. Held-out detectors are trained on seeds from ``TRAINING_SEED`` on. Neither
``hydrawatch train`` nor a test of the detector uses these ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from detector.lab.worlds.archetypes import ARCHETYPES
from detector.lab.worlds.campaigns import CAMPAIGNS, SINGLE
from detector.lab.worlds.spec import MISSING, WorldSpec

FIRST_SEED = 910_000
TRAINING_SEED = 50_000
#: First seeds of worlds that lack an input, and of large worlds.
MISSING_SEED = 950_000
FULL_SEED = 980_000
EVASION_LEVELS = (0, 1, 2, 3)
#: Attackers' share of the accounts, world by world. Worlds with a larger share have more campaign kinds.
SHARES = (0.05, 0.01, 0.03, 0.08, 0.02)
#: Scaffold families of report worlds and training worlds. A held-out detector never learns from the families of the
#: world it is tried on.
LETTERS = "ab"
#: Fewest accounts of a campaign over many accounts.
LEAST = 6
MASS = tuple(name for name in CAMPAIGNS if name not in SINGLE)


@dataclass(frozen=True)
class Size:
    """Size of the benchmark. ``seeds``, ``accounts``, ``days`` are those of report worlds, on each evasion level."""

    seeds: int = 5
    accounts: int = 1200
    days: int = 7
    evasion_levels: tuple[int, ...] = EVASION_LEVELS
    training_worlds: int = 24
    training_accounts: int = 900
    training_days: int = 4
    missing_seeds: int = 2
    missing_accounts: int = 900
    missing_days: int = 4
    #: Turns in which campaign kinds are held out. With as many turns as kinds, each turn holds out one kind.
    rotations: int = len(CAMPAIGNS)


QUICK = Size(
    seeds=2, accounts=300, days=3, training_worlds=8, training_accounts=300, training_days=3,
    missing_seeds=1, missing_accounts=300, missing_days=3,
    rotations=2,
)  # fmt: skip


def _kinds(number: int, honest: int, share: float) -> tuple[str, ...]:
    """Campaign kinds of world ``number``: as many as its attackers suffice for, taken in turn so that all occur."""
    attackers = round(honest * share / (1 - share))
    many = max(1, min(4, attackers // LEAST))
    mass = tuple(MASS[(number * 3 + k) % len(MASS)] for k in range(many))
    alone = (SINGLE[number % len(SINGLE)],) if attackers > 2 * LEAST else ()
    return (*mass, *alone)


def report_worlds(size: Size) -> list[WorldSpec]:
    """The worlds of the report: ``size.seeds`` on each evasion level."""
    return [
        WorldSpec(
            seed=FIRST_SEED + 1000 * evasion_level + i,
            days=size.days,
            honest_accounts=size.accounts,
            attacker_share=SHARES[i % len(SHARES)],
            evasion_level=evasion_level,
            campaigns=_kinds(i + evasion_level, size.accounts, SHARES[i % len(SHARES)]),
            families=LETTERS[(i + evasion_level) % 2],
            poison=i % 2 == 0,
        )
        for evasion_level in size.evasion_levels
        for i in range(size.seeds)
    ]


def missing_worlds(size: Size) -> list[WorldSpec]:
    """Worlds whose operator lacks one input, for every input and evasion level."""
    share = 0.05
    return [
        WorldSpec(
            seed=MISSING_SEED + 1000 * evasion_level + i,
            days=size.missing_days,
            honest_accounts=size.missing_accounts,
            attacker_share=share,
            evasion_level=evasion_level,
            campaigns=_kinds(i + evasion_level, size.missing_accounts, share),
            families=LETTERS[(i + evasion_level) % 2],
            missing=frozenset({missing}),
        )
        for missing in MISSING
        for evasion_level in size.evasion_levels
        for i in range(size.missing_seeds)
    ]


def training_worlds(size: Size) -> list[WorldSpec]:
    """Training worlds of the held-out detectors: all evasion levels and kinds in both sets of scaffold families."""
    shares = (0.04, 0.10, 0.02, 0.07)
    return [
        WorldSpec(
            seed=TRAINING_SEED + i,
            days=size.training_days,
            honest_accounts=size.training_accounts,
            attacker_share=shares[(i // 2) % len(shares)],
            evasion_level=(i // 2) % 4,
            campaigns=_kinds(i // 2 + i // 8, size.training_accounts, shares[(i // 2) % len(shares)]),
            families=LETTERS[i % 2],
            poison=i % 3 == 0,
        )
        for i in range(size.training_worlds)
    ]


def full_worlds() -> list[WorldSpec]:
    """Worlds of published size: each campaign at full size in a world of its own, and worlds with 0.1 % attackers."""
    whole = [
        WorldSpec(
            seed=FULL_SEED + 10 * number + evasion_level,
            days=campaign.days,
            honest_accounts=max(20_000, 4 * campaign.accounts),
            attacker_share=0.0,
            evasion_level=evasion_level,
            campaigns=(campaign.name,),
            families=LETTERS[number % 2],
            scale=1.0,
        )
        for number, campaign in enumerate(CAMPAIGNS.values())
        if campaign.name not in SINGLE
        for evasion_level in (1, 3)
    ]
    rare = [
        WorldSpec(
            seed=FULL_SEED + 1000 + evasion_level,
            days=7,
            honest_accounts=50_000,
            attacker_share=0.001,
            evasion_level=evasion_level,
            campaigns=(MASS[evasion_level], MASS[evasion_level + 4]),
            families=LETTERS[evasion_level % 2],
        )
        for evasion_level in EVASION_LEVELS
    ]
    return whole + rare


@dataclass(frozen=True)
class Rotation:
    """The campaign kinds and honest archetypes that one held-out detector must not have seen."""

    campaigns: tuple[str, ...]
    archetypes: tuple[str, ...]


def rotations(n: int = len(CAMPAIGNS)) -> list[Rotation]:
    """``n`` turns that leave out every campaign kind and archetype once. By default each turn has one kind."""
    return [
        Rotation(tuple(islice(CAMPAIGNS, i, None, n)), tuple(islice(ARCHETYPES, i, None, n)))
        for i in range(n)
    ]
