"""The values that the other modules pass around: a kind of use, people, a batch of requests, a victim."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.lab.worlds.grammar import Texts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rng = np.random.Generator


@dataclass(frozen=True)
class Habit:
    """One kind of use, whoever the user is.

    Units: ``gap_s`` in seconds, ``out`` and ``context`` as (mean, sd) of log tokens. The others are probabilities,
    except ``more``, ``gap_sigma`` and ``burst`` (see ``clock``).
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
    refused: float = 0.004
    odds: float = 0.0  # share who read the odds of short answers, see module ``odds``
    odds_of: str = "sort"  # sort, verdict or exam

    @property
    def turns_mean(self) -> float:
        """Expected requests of a session."""
        return self.single + (1 - self.single) * (2 + self.more)


@dataclass
class People:
    """People who send requests, one row each. Several may share an account, so ``account`` can repeat."""

    account: Ints
    country: Ints
    zone_h: Floats
    addresses: Ints  # (n, 2) usual addresses
    mobile: Floats  # share of sessions from carrier networks
    vpn: Floats
    clients: Ints  # (n, 2)
    model: Ints
    loyal: Floats  # probability of the usual model
    usual_client: Floats  # probability of the first client
    taste: str
    temperature: Ints
    limit: Ints
    tools: Ints
    system: Texts
    style: Ints
    wordy: Floats  # 0..1, how long they write
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
    """Requests of a batch of people before they are written. ``who`` is the position of the person."""

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
    """What an attacker can see of an honest account and copy."""

    account: int
    address: int
    client: int
    prompts: list[str]
