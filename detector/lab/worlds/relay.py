"""How a hydra runs: it opens accounts, spreads its load over them, and replaces banned ones.

Most of what depends on the evasion level is here: 0 naive, 1 spread, 2 camouflaged, 3 ghost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.lab.worlds import clock, market
from detector.lab.worlds.network import COUNTRIES
from detector.lab.worlds.people import Traits, births, company_domain, settle, token
from detector.lab.worlds.persona import Floats, Ints, People, Rng
from detector.lab.worlds.town import Town


@dataclass
class Crew:
    """The accounts of one operation, one person each. A banned account has a successor in the same slot."""

    people: People
    slot: Ints
    from_s: Floats
    until_s: Floats
    opens_s: float
    zone_h: float

    def holder(self, slot: Ints, ts: Floats) -> Ints:
        """The person who serves each slot at a time. -1 where the slot is between two accounts."""
        order = np.lexsort((self.from_s, self.slot))
        step = 1e10
        key = self.slot[order] * step + np.maximum(self.from_s[order], 0)
        at = np.searchsorted(key, slot * step + ts, side="right") - 1
        who = order[np.maximum(at, 0)]
        good = (at >= 0) & (self.slot[who] == slot) & (ts < self.until_s[who])
        serving: Ints = np.where(good, who, -1)
        return serving


def _succession(
    town: Town, rng: Rng, n: int, evasion_level: int, ban_rate: float, opens: float
) -> tuple[Ints, Floats, Floats, list[tuple[int, float]]]:
    """Slots, and the time spans of the accounts that serve them one after another."""
    slot, start, end = [], [], []
    bans: list[tuple[int, float]] = []
    for s in range(n):
        at = -1.0
        while True:
            life = rng.exponential(1 / ban_rate) * clock.DAY_S if ban_rate > 0 else np.inf
            stop = max(at, opens) + life
            slot.append(s)
            start.append(at)
            end.append(stop if stop < town.end_s else np.inf)
            if stop >= town.end_s:
                break
            bans.append((len(slot) - 1, stop))
            # A naive operation puts a successor in service within minutes, the others within a day.
            delay = np.exp(rng.normal(np.log((900, 3600, 4 * 3600, 9 * 3600)[evasion_level]), 0.8))
            at = stop + min(delay, clock.DAY_S)
            if at >= town.end_s:
                break
    return np.array(slot), np.array(start), np.array(end), bans


def _cards(rng: Rng, n: int, evasion_level: int) -> tuple[list[str | None], list[str | None]]:
    per_card = (12, 3, 1, 1)[evasion_level]
    number = rng.integers(max(1, n // per_card), size=n) if per_card > 1 else np.arange(n)
    card = {int(k): token(rng, "pm") for k in np.unique(number)}
    few = int(rng.integers(2, 5))
    virtual_share = (0.5, 0.6, 0.55, 0.3)[evasion_level]
    issuer = {
        k: market.virtual_bins(rng, 1, few)[0]
        if rng.random() < virtual_share
        else market.ordinary_bins(rng, 1)[0]
        for k in card
    }
    numbers = number.tolist()
    return [card[k] for k in numbers], [issuer[k] for k in numbers]


def _addresses(town: Town, rng: Rng, country: Ints, evasion_level: int) -> Ints:
    """Two exits for each account: a few servers, then shared residential exits, then more and more private ones.

    On evasion levels 2 and 3 exits are in the account's stated country, where there are any.
    """
    net = town.network
    n = len(country)
    if evasion_level == 0:
        pool = [net.hosting()]
        while len(pool) < max(2, n // 10):
            pool.append(net.neighbour(pool[0]) if rng.random() < 0.6 else net.hosting())
        return rng.choice(np.array(pool), size=(n, 2))
    size = max(3, int(n * (0.35, 0.35, 0.8, 1.4)[evasion_level]))
    exits = rng.choice(net.exits, size=size, replace=size > len(net.exits))
    chosen = rng.choice(exits, size=(n, 2))
    if evasion_level >= 2:
        where = np.array([net.country[a] for a in exits])
        for c in np.unique(country).tolist():
            at, local = np.flatnonzero(country == c), exits[where == COUNTRIES[c][0]]
            if len(local):
                chosen[at] = rng.choice(local, size=(len(at), 2))
        # Careful operations give some accounts a line of their own, and most accounts a single exit.
        own = np.flatnonzero(rng.random(n) < (0, 0, 0.3, 0.5)[evasion_level])
        chosen[own, 0] = [net.home(int(c)) for c in country[own]]
        one = rng.random(n) < 0.6
        chosen[one, 1] = chosen[one, 0]
    return chosen


def _sign_ups(town: Town, rng: Rng, n: int, evasion_level: int, opens: float) -> Floats:
    day = clock.DAY_S
    if evasion_level == 0:
        return opens - rng.uniform(0.2, 2) * day + rng.uniform(0, 6 * 3600, n)
    if evasion_level == 1:
        return opens - rng.uniform(0.02, 9, n) * day
    if evasion_level == 2:
        return np.minimum(opens - 600, opens - rng.gamma(1.3, 30, n) * day)
    return np.minimum(births(town, rng, n, mean_days=110), max(opens, 0.0))


def recruit(
    town: Town, rng: Rng, n: int, *, evasion_level: int, ban_rate: float, truth: dict[str, Any], taste: str, use: str,
    clients: str, pathways: int,
) -> Crew:  # fmt: skip
    """Open the accounts of an operation of ``n`` slots and their successors. Bans are recorded as events."""
    opens = rng.uniform(-2, 0.25 * town.days) * clock.DAY_S
    opens = max(opens, 0.0) if rng.random() < 0.6 else min(opens, 0.0)
    slot, start, end, bans = _succession(
        town, rng, n, evasion_level, ban_rate * (1.0, 0.8, 0.5, 0.25)[evasion_level], opens
    )
    m = len(slot)
    born = _sign_ups(town, rng, m, evasion_level, opens)
    born = np.where(start >= 0, start - rng.uniform(30, 600, m), born)
    # On the careful evasion levels half of the successors were opened in advance.
    if evasion_level >= 2:
        stock = (start >= 0) & (rng.random(m) < 0.5)
        born = np.where(stock, _sign_ups(town, rng, m, evasion_level, opens), born)
    payment, bins = _cards(rng, m, evasion_level)
    mail: list[str] | None = None
    if evasion_level == 0:
        domains = [company_domain(town, rng) for _ in range(max(1, m // 25))]
        pool = [*domains, *market.DISPOSABLE_MAIL[:2], *market.FREE_MAIL[:3]]
        mail = [pool[i] for i in rng.integers(len(pool), size=m).tolist()]
    phones = (
        [token(rng, "ph") for _ in range(max(1, m // (5, 3, 1, 1)[evasion_level]))]
        if evasion_level < 2
        else None
    )
    country = rng.choice(len(COUNTRIES), size=m, p=town.network.country_weights)
    addresses = _addresses(town, rng, country, evasion_level)
    signup = addresses[:, 0] if evasion_level else rng.choice(addresses[:, 0], size=m)
    weights = market.PATHWAY_WEIGHTS if pathways > 1 else (1.0, 0, 0, 0, 0)
    pathway_numbers = rng.choice(len(market.PATHWAYS), size=m, p=weights).tolist()
    phone = [phones[i] for i in rng.integers(len(phones), size=m).tolist()] if phones else None
    traits = Traits(
        "attacker", clients=clients, taste=taste, use=use, country=country, addresses=addresses,
        signup=signup,
        born_s=born, payment=payment, bins=bins, mail=mail, phone=phone, truth=truth,
        pathway=[market.PATHWAYS[d] for d in pathway_numbers],
        vpn=(0.0, 0.05, 0.1, 0.08)[evasion_level], mobile=(0.0, 0.0, 0.08, 0.14)[evasion_level],
    )  # fmt: skip
    people = settle(town, rng, m, traits)
    if evasion_level < 3:
        kinds = town.network.clients(clients, rng, (1, 3, 8)[evasion_level])
        people.clients = rng.choice(kinds, size=(m, 2)) if evasion_level else np.full((m, 2), kinds[0])
        if evasion_level == 2:
            # Most honest accounts have one client, and a camouflaged operation copies that.
            one = rng.random(m) < 0.6
            people.clients[one, 1] = people.clients[one, 0]
    for index, at in bans:
        town.stop(int(people.account[index]), at, "banned")
    people.until_s = np.array(town.until_s)[people.account]
    zone = float(rng.choice([8, 8, 8, 3, 5.5, -5]))
    return Crew(people, slot, start, end, opens, zone)


def pauses(rng: Rng, days: int) -> list[tuple[float, float]]:
    """The operator's outages: now and then the whole operation rests for one to four hours."""
    spans = []
    for _ in range(int(rng.poisson(0.35 * days))):
        at = rng.uniform(0, days * clock.DAY_S)
        spans.append((at, at + rng.uniform(1, 4) * 3600))
    return spans


def arrivals(
    town: Town, rng: Rng, crew: Crew, total: float, *, evasion_level: int, rhythm: str, turns_mean: float
) -> Floats:
    """Start times, in order and by the operator's clock, of conversations with about ``total`` requests."""
    span = max(town.end_s - crew.opens_s, 3600.0)
    n = int(rng.poisson(max(total, 0) / turns_mean))
    one = np.zeros(n, dtype=np.int64)
    starts = clock.session_starts(
        rng, one, np.array([crew.zone_h]), rhythm=rhythm, days=town.days,
        first_weekday=town.start.weekday(), burst=6.0,
    )  # fmt: skip
    if evasion_level >= 2:
        # A careful operation works around the clock, and ``balance`` gives each account its own day.
        spread = rng.random(n) < (0.5, 0.8)[evasion_level - 2]
        starts = np.where(spread, rng.uniform(0, town.end_s, n), starts)
    starts = np.where(starts < crew.opens_s, crew.opens_s + starts / town.end_s * span, starts)
    keep = np.ones(n, dtype=bool)
    for low, high in pauses(rng, town.days):
        keep &= ~((starts >= low) & (starts < high) & (rng.random(n) < (1, 1, 0.7, 0.3)[evasion_level]))
    return np.sort(starts[keep])


def balance(town: Town, rng: Rng, crew: Crew, starts: Floats, *, evasion_level: int, able: Ints) -> Ints:
    """The person who serves each conversation, by evasion level: round robin, sticky hours, or each account's own day.

    ``able`` are the slots that harvest. If a slot is between two accounts, another slot takes the conversation. -1
    where no slot is free.
    """
    n = len(starts)
    if evasion_level == 0:
        # Least recently used differs from round robin by a place or two.
        turn = np.arange(n) + (rng.integers(3, size=n) if rng.random() < 0.5 else 0)
        slot = able[turn % len(able)]
    elif evasion_level == 1:
        # Sticky sessions: the conversations of one worker stay on an account for about an hour.
        worker = rng.integers(max(2, 2 * len(able)), size=n)
        hour = (starts // 3600).astype(np.int64)
        slot = able[(worker * 2654435761 + hour * 40503 + worker * hour % 7919) % len(able)]
    else:
        slot = _shifts(town, rng, crew, starts, evasion_level=evasion_level, able=able)
    who = crew.holder(slot, starts)
    for _ in range(3):
        lost = np.flatnonzero(who < 0)
        if not len(lost):
            break
        who[lost] = crew.holder(rng.choice(able, size=len(lost)), starts[lost])
    return who


def _shifts(town: Town, rng: Rng, crew: Crew, starts: Floats, *, evasion_level: int, able: Ints) -> Ints:
    """Slots on evasion levels 2 and 3: uneven shares, days off, and a few hours a day in the stated zone's rhythm."""
    blocks = 8
    n_days = town.days
    zone = crew.people.zone_h[np.searchsorted(crew.slot, able)]
    share = np.exp(rng.normal(0, (0.9, 1.1)[evasion_level - 2], len(able)))
    days = rng.gamma((0.8, 0.7)[evasion_level - 2], size=(len(able), n_days))
    local = np.mod(np.arange(blocks)[None, :] * 3 + 1.5 + zone[:, None], 24).astype(int)
    hours = clock.HOURS["evening"][local] * rng.gamma(0.8, size=(len(able), blocks))
    slot = np.empty(len(starts), dtype=np.int64)
    block = np.minimum((starts // (clock.DAY_S / blocks)).astype(int), n_days * blocks - 1)
    edges = np.searchsorted(block, np.arange(n_days * blocks + 1))  # starts are in order
    for b in range(n_days * blocks):
        low, high = edges[b], edges[b + 1]
        if low < high:
            weight = share * days[:, b // blocks] * hours[:, b % blocks] + 1e-12
            # Few accounts are awake at a time, and each takes several conversations in a row.
            slot[low:high] = able[
                np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(high - low) * 0.999999)
            ]
    return slot
