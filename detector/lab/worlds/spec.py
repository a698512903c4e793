"""The specification of a world, and the campaigns that run in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from detector.errors import ConfigError
from detector.lab.worlds.archetypes import ARCHETYPES
from detector.lab.worlds.campaigns import CAMPAIGNS, SINGLE
from detector.lab.worlds.grammar import LETTERS
from detector.lab.worlds.harvest import Campaign, Plan
from detector.lab.worlds.persona import Rng

MISSING = ("prompts", "payment", "ja4", "accounts")


@dataclass(frozen=True)
class WorldSpec:
    """The specification of a world.

    Parameters
    ----------
    seed : 900000 and above are for tests and reports only, below 100000 for training.
    days, start : window, UTC days.
    honest_accounts : number of honest accounts.
    attacker_share : attackers' accounts as a share of all accounts, without the successors of banned ones.
    evasion_level : 0 naive to 3 ghost.
    campaigns : names. Empty means a seeded mixture.
    archetypes : names. Empty means all.
    families : letters out of "abc", which choose scaffolds, sentence patterns and vocabularies.
    requests : approximate number of honest requests. None means twelve for each account and day.
    missing : inputs left out, among "prompts", "payment", "ja4", "accounts".
    ban_rate : bans for each attacker's account and day on evasion level 0. Higher levels have fewer.
    release : whether a new model appears inside the window.
    poison : whether campaigns frame honest accounts.
    scale : size of the campaigns as a part of their published size. With 0, attacker_share sets the size.

    Raises
    ------
    ConfigError : a value is out of range, or a name is unknown.
    """

    seed: int
    days: int = 7
    start: date = date(2026, 3, 2)
    honest_accounts: int = 2000
    attacker_share: float = 0.05
    evasion_level: int = 1
    campaigns: tuple[str, ...] = ()
    archetypes: tuple[str, ...] = ()
    families: str = LETTERS
    requests: int | None = None
    missing: frozenset[str] = field(default_factory=frozenset)
    ban_rate: float = 0.04
    release: bool = True
    poison: bool = False
    scale: float = 0.0

    def __post_init__(self) -> None:
        _check_names("campaign", self.campaigns, CAMPAIGNS)
        _check_names("archetype", self.archetypes, ARCHETYPES)
        _check_names("missing input", self.missing, MISSING)
        _check_names("family letter", self.families or ("",), LETTERS)
        least = sum(ARCHETYPES[name].least for name in self.archetypes or ARCHETYPES)
        ranges = {
            "seed": self.seed >= 0,
            "days": 1 <= self.days <= 366,
            "honest_accounts": least <= self.honest_accounts <= 900_000,
            "attacker_share": 0 <= self.attacker_share < 0.9,
            "evasion_level": self.evasion_level in (0, 1, 2, 3),
            "requests": self.requests is None or self.requests > 0,
            "ban_rate": 0 <= self.ban_rate <= 5,
            "scale": 0 <= self.scale <= 1,
        }
        for name, good in ranges.items():
            if not good:
                hint = f"the archetypes chosen need {least} accounts" if name == "honest_accounts" else None
                raise ConfigError(f"{name} = {getattr(self, name)!r} is out of range", hint=hint)


def _check_names(what: str, given: Iterable[str], valid: Iterable[str]) -> None:
    for name in given:
        if name not in valid:
            raise ConfigError(f"unknown {what} {name!r}", hint=f"known: {', '.join(valid)}")


def plans(spec: WorldSpec, rng: Rng) -> list[tuple[Plan, Campaign]]:
    """The campaigns that run, each with its number of accounts."""
    attackers = round(spec.honest_accounts * spec.attacker_share / (1 - spec.attacker_share))
    if not attackers and not spec.scale:
        return []
    names = spec.campaigns or _mixture(rng, attackers)
    chosen = [CAMPAIGNS[name] for name in names]
    alone = [int(rng.integers(1, c.accounts + 1)) if c.name in SINGLE else 0 for c in chosen]
    many = [i for i, c in enumerate(chosen) if c.name not in SINGLE]
    left = max(attackers - sum(alone), 2 * len(many))
    share = dict(zip(many, rng.dirichlet(np.full(len(many), 4.0)).tolist() if many else [], strict=True))
    planned = []
    for i, campaign in enumerate(chosen):
        if spec.scale:
            accounts = max(2 if i in share else 1, round(campaign.accounts * spec.scale))
        else:
            accounts = max(2, int(left * share[i])) if i in share else alone[i]
        volume = float(np.exp(rng.normal(0, 0.15)))
        group = f"{campaign.name}-{i + 1}"
        planned.append(
            (Plan(spec.evasion_level, accounts, spec.ban_rate, group, spec.poison, volume), campaign)
        )
    return planned


def _mixture(rng: Rng, attackers: int) -> tuple[str, ...]:
    mass = [c for c in CAMPAIGNS.values() if c.weight]
    weight = np.array([c.weight for c in mass])
    many = min(int(rng.integers(2, 5)), max(1, attackers // 4))
    picked = rng.choice(len(mass), size=many, replace=False, p=weight / weight.sum()).tolist()
    single = tuple(name for name in SINGLE if attackers > 12 and rng.random() < 0.5)
    return tuple(mass[i].name for i in picked) + single
