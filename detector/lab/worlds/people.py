"""Settling people: account facts and personal traits of honest customers, all of which can be overridden.

The same code settles attackers with other arguments. An attacker therefore differs only in the traits its campaign
sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.lab.worlds import clock, market
from detector.lab.worlds.network import COUNTRIES
from detector.lab.worlds.persona import Floats, Ints, People, Rng
from detector.lab.worlds.town import Town, moment

_ZONES = np.array([c[2] for c in COUNTRIES])
_SYSTEM_OWN = ("app.system", "assistant.system")


@dataclass
class Traits:
    """Traits that can be set for a batch of people. None means drawn as for the public."""

    archetype: str
    clients: str = "web"
    taste: str = "mixed"
    use: str = "chat"
    country: Ints | None = None
    addresses: Ints | None = None  # (n,) or (n, 2)
    signup: Ints | None = None
    born_s: Floats | None = None
    payment: list[str | None] | None = None
    bins: list[str | None] | None = None
    mail: list[str] | None = None
    org: list[str | None] | None = None
    program: str | list[str] | None = None
    pathway: list[str] | None = None
    system: str = "some"  # none, some, own or agent
    toolset: tuple[int, ...] | None = None
    vpn: float = 0.06
    mobile: float = 0.16
    virtual: float = 0.11
    foreign: float = 0.55
    phone: list[str] | None = None
    inviter: list[str | None] | None = None
    truth: dict[str, Any] = field(default_factory=dict)


def company_domain(town: Town, rng: Rng) -> str:
    """A mail domain of a company. Its top level ``example`` is reserved, so it belongs to nobody."""
    words = [town.grammar.one(rng, rule) for rule in ("adj", "noun")]
    return f"{words[0]}-{words[1]}{rng.integers(2, 999)}.example"


def births(town: Town, rng: Rng, n: int, *, new: float | None = None, mean_days: float = 130.0) -> Floats:
    """Sign-up times in seconds from the world's start. A share ``new`` is inside the window."""
    share = min(0.4, 0.011 * town.days) if new is None else new
    old = -np.minimum(rng.exponential(mean_days, n) + rng.uniform(0.1, 3, n), 900) * clock.DAY_S
    # Sign-ups follow the hours of the day, as requests do.
    hour = rng.choice(24, size=n, p=clock.HOURS["evening"] / clock.HOURS["evening"].sum()) * 3600.0
    old = np.floor(old / clock.DAY_S) * clock.DAY_S + hour + rng.uniform(0, 3600, n)
    inside = rng.uniform(0, 0.92 * town.end_s, n)
    drawn: Floats = np.where(rng.random(n) < share, inside, np.minimum(old, -600.0))
    return drawn


def token(rng: Rng, prefix: str) -> str:
    """An opaque identifier, such as a payment processor's fingerprint."""
    return f"{prefix}_{rng.integers(1 << 62):016x}"


def systems(town: Town, rng: Rng, n: int, how: str) -> NDArray[np.object_]:
    """System prompts of ``n`` people: none, some (a fifth popular, a fifth their own), own, agent."""
    out = np.full(n, None, dtype=object)
    if how == "none":
        return out
    if how == "agent":
        # Thousands of users share a popular agent's prompt, so the first prompts are far more popular.
        prompts = town.grammar.make(rng, "agent.system", 400)
        ranked = sorted(set(prompts.tolist()))
        weight = 1 / np.arange(1, len(ranked) + 1)
        out[:] = [ranked[i] for i in rng.choice(len(ranked), size=n, p=weight / weight.sum()).tolist()]
        return out
    if how in ("own", "some"):
        share = (1.0, 0.0) if how == "own" else (0.2, 0.2)
        u = rng.random(n)
        for low, part, rule in ((0.0, share[0], "app.system"), (share[0], share[1], "assistant.system")):
            at = np.flatnonzero((u >= low) & (u < low + part))
            out[at] = town.grammar.make(rng, rule, len(at))
        return out
    raise ValueError(f"no such kind of system prompts: {how!r}")


def enroll(town: Town, rng: Rng, n: int, t: Traits) -> tuple[Ints, Ints, Floats, Ints]:
    """Open ``n`` accounts: their numbers, countries, sign-up times and usual addresses (n, 2)."""
    net = town.network
    country = (
        t.country if t.country is not None else rng.choice(len(COUNTRIES), size=n, p=net.country_weights)
    )
    if t.addresses is None:
        first = np.array([net.home(int(c)) for c in country], dtype=np.int64)
        other = np.where(rng.random(n) < 0.35, [net.home(int(c)) for c in country], first)
        addresses = np.stack([first, other], axis=1)
    else:
        addresses = t.addresses if t.addresses.ndim == 2 else np.stack([t.addresses, t.addresses], axis=1)
    born = t.born_s if t.born_s is not None else births(town, rng, n)
    signup = t.signup if t.signup is not None else addresses[:, 0]
    # Some people sign up through a VPN.
    away = rng.random(n) < 0.12
    if t.signup is None:
        signup = np.where(away, rng.choice(net.vpn, size=n, p=net.vpn_weights), signup)
    payment: list[str | None] = t.payment if t.payment is not None else [token(rng, "pm") for _ in range(n)]
    if t.bins is not None:
        bins = t.bins
    else:
        virtual = market.virtual_bins(rng, n)
        plain = market.ordinary_bins(rng, n)
        is_virtual = rng.random(n) < t.virtual
        bins = [v if w else p for v, p, w in zip(virtual, plain, is_virtual.tolist(), strict=True)]
    bins = [b if p else None for b, p in zip(bins, payment, strict=True)]
    mail = t.mail
    if mail is None:
        own = rng.random(n) < (0.12 if t.clients == "web" else 0.3)
        disposable = rng.random(n) < 0.012
        free = rng.choice(
            len(market.FREE_MAIL),
            size=n,
            p=np.array(market.FREE_MAIL_WEIGHTS) / sum(market.FREE_MAIL_WEIGHTS),
        )
        mail = [
            market.DISPOSABLE_MAIL[f % 5] if x else company_domain(town, rng) if o else market.FREE_MAIL[f]
            for f, o, x in zip(free.tolist(), own.tolist(), disposable.tolist(), strict=True)
        ]
    program: Any = t.program
    if program is None:
        program = rng.choice(
            ["payg", "free", "startup", "research", "education", "enterprise"], size=n,
            p=[0.7, 0.16, 0.05, 0.03, 0.04, 0.02],
        ).tolist()  # fmt: skip
    pathway = t.pathway or [
        market.PATHWAYS[i] for i in rng.choice(len(market.PATHWAYS), size=n, p=market.PATHWAY_WEIGHTS)
    ]
    phone = t.phone or [token(rng, "ph") for _ in range(n)]
    inviter = t.inviter or [token(rng, "inv") if x else None for x in (rng.random(n) < 0.06).tolist()]
    stated = [COUNTRIES[int(c)][0] for c in country]
    columns: dict[str, Any] = {
        "org_id": t.org or [None] * n,
        "created_at": [moment(town.start, s) for s in born.tolist()],
        "payment_fingerprint": payment,
        "payment_bin": bins,
        "email_domain": mail,
        "signup_ip": [net.ip[int(a)] for a in signup],
        "country": stated,
        "pathway": pathway,
        "program": program,
        "verified": (rng.random(n) < 0.45).tolist(),
        "phone_hash": phone,
        "inviter": inviter,
        "label": 0, "kind": "honest", "campaign": "", "group": "", "archetype": t.archetype, "framed": False,
        **t.truth,
    }  # fmt: skip
    accounts = town.enroll(n, columns, born)
    return accounts, country, born, addresses


def persons(
    town: Town, rng: Rng, accounts: Ints, country: Ints, born: Floats, addresses: Ints, t: Traits
) -> People:
    """One person on each of ``accounts``, with the public's traits or those of ``t``."""
    n = len(accounts)
    net = town.network
    # Two people in five use a second client of the same kind.
    main = net.clients(t.clients, rng, n)
    other = np.where(rng.random(n) < 0.42, net.clients(t.clients, rng, n), main)
    adopts = town.release_s + rng.exponential(1.6 * clock.DAY_S, n)
    adopts = np.where(rng.random(n) < 0.35, adopts, np.inf)
    toolsets = t.toolset or tuple(range(1, len(market.TOOLSETS)))
    return People(
        account=accounts,
        country=country,
        zone_h=_ZONES[country],
        addresses=addresses,
        mobile=np.where(rng.random(n) < 2 * t.mobile, rng.beta(1.2, 1.6, n), 0.0),
        vpn=np.where(rng.random(n) < 2 * t.vpn, rng.beta(1.2, 1.6, n), 0.0),
        clients=np.stack([main, other], axis=1),
        model=market.models(rng, t.taste, n),
        loyal=rng.beta(3.2, 0.9, n),
        usual_client=rng.beta(4, 1, n),
        taste=t.taste,
        temperature=market.temperatures(rng, t.use, n),
        limit=market.limits(rng, t.use, n),
        tools=rng.choice(np.array(toolsets), size=n),
        system=systems(town, rng, n, t.system),
        style=rng.choice(6, size=n, p=[0.42, 0.2, 0.14, 0.08, 0.06, 0.1]),
        wordy=rng.beta(0.7, 1.9, n),
        adopts_s=adopts,
        born_s=born,
        until_s=np.array(town.until_s)[accounts],
        end_user=np.full(n, None, dtype=object),
        foreign=np.where(rng.random(n) < t.foreign, rng.uniform(0.5, 1.0, n), 0.03),
    )


def settle(town: Town, rng: Rng, n: int, t: Traits) -> People:
    """Open ``n`` accounts with one person each."""
    accounts, country, born, addresses = enroll(town, rng, n, t)
    return persons(town, rng, accounts, country, born, addresses, t)


def customers(
    town: Town,
    rng: Rng,
    people: People,
    per_account: float,
    t: Traits,
    *,
    named: float = 0.45,
    same: float = 0.0,
) -> People:
    """Unrelated end users behind accounts, ``per_account`` on average, each with a language, style and clock.

    They appear at the addresses of their account. ``named`` is the share of accounts that name the asking user to the
    provider. ``same`` is the share of users who get the account's usual model and settings.
    """
    count = 1 + rng.poisson(max(per_account - 1, 0), len(people))
    row = np.repeat(np.arange(len(people)), count)
    n = len(row)
    country = rng.choice(len(COUNTRIES), size=n, p=town.network.country_weights)
    crowd = persons(town, rng, people.account[row], country, people.born_s[row], people.addresses[row], t)
    crowd.until_s = people.until_s[row]
    crowd.mobile = np.zeros(n)
    crowd.vpn = people.vpn[row]
    names = np.array([f"u{x:07x}" for x in rng.integers(1 << 28, size=n).tolist()], dtype=object)
    has_name = (rng.random(len(people)) < named)[row]
    crowd.end_user[has_name] = names[has_name]
    alike = rng.random(n) < same
    for trait in ("model", "temperature", "limit"):
        getattr(crowd, trait)[alike] = getattr(people, trait)[row][alike]
    return crowd
