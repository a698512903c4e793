"""Which worlds the benchmark is made of: seeds never trained on, every campaign kind on every evasion_level.

Report seeds start at ``FIRST_SEED``; training of the held-out detectors uses seeds from ``TRAINING_SEED``.
Neither range is used by ``hydrawatch train`` or by a test of the detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from detector.lab.worlds.archetypes import ARCHETYPES
from detector.lab.worlds.campaigns import CAMPAIGNS, SINGLE
from detector.lab.worlds.spec import MISSING, WorldSpec

FIRST_SEED = 910_000
TRAINING_SEED = 50_000
#: Seeds of worlds that lack an input, and of the large ones, apart from the others.
MISSING_SEED = 950_000
FULL_SEED = 980_000
EVASION_LEVELS = (0, 1, 2, 3)
#: Attackers' share of the accounts, world by world: 1 % beside richer worlds that hold more kinds.
SHARES = (0.05, 0.01, 0.03, 0.08, 0.02)
#: Scaffold families of report worlds and training worlds; a held-out detector never learns from the families
#: of the world it is tried on.
LETTERS = "ab"
#: Accounts a campaign of many needs to be one.
LEAST = 6
MASS = tuple(name for name in CAMPAIGNS if name not in SINGLE)


@dataclass(frozen=True)
class Size:
    """How large the benchmark is. ``seeds``, ``accounts``, ``days`` are of report worlds, an evasion level each."""

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
    #: Turns in which campaign kinds are held out; as many as there are kinds: one kind a turn.
    rotations: int = len(CAMPAIGNS)


QUICK = Size(
    seeds=2, accounts=300, days=3, training_worlds=8, training_accounts=300, training_days=3,
    missing_seeds=1, missing_accounts=300, missing_days=3,
    rotations=2,
)  # fmt: skip


def _kinds(number: int, honest: int, share: float) -> tuple[str, ...]:
    """Campaign kinds of world ``number``: as many as its attackers make, taken in turn so that all occur."""
    attackers = round(honest * share / (1 - share))
    many = max(1, min(4, attackers // LEAST))
    mass = tuple(MASS[(number * 3 + k) % len(MASS)] for k in range(many))
    alone = (SINGLE[number % len(SINGLE)],) if attackers > 2 * LEAST else ()
    return (*mass, *alone)


def report_worlds(size: Size) -> list[WorldSpec]:
    """The worlds reported on: ``size.seeds`` an evasion level."""
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
    """Worlds whose operator lacks one input, for every input and evasion_level."""
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
    """Worlds the held-out detectors learn from: all evasion_levels and kinds in both sets of scaffold families."""
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
    """Published sizes: each campaign whole in a site of its own, and worlds with 0.1 % attackers."""
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
    """What one held-out detector must not have seen: campaign kinds and honest archetypes."""

    campaigns: tuple[str, ...]
    archetypes: tuple[str, ...]


def rotations(n: int = len(CAMPAIGNS)) -> list[Rotation]:
    """Every campaign kind and every archetype left out once, in ``n`` turns; by default a kind a turn."""
    return [
        Rotation(tuple(islice(CAMPAIGNS, i, None, n)), tuple(islice(ARCHETYPES, i, None, n)))
        for i in range(n)
    ]
