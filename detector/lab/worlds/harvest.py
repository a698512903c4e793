"""What a campaign over many accounts sends: scaffolded questions that its relay dispatches, among customers' traffic.

``Campaign`` describes a kind of abuse, and ``Plan`` one instance of it. The makers of single-account abuse are in
``solo``, and the list of campaigns is in ``campaigns``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from detector.lab.worlds import clock, honest, market, relay
from detector.lab.worlds.grammar import Texts, fill
from detector.lab.worlds.paraphrase import Paraphraser
from detector.lab.worlds.people import Traits, customers
from detector.lab.worlds.persona import Floats, Habit, Ints, People, Rng, Rows, Victim
from detector.lab.worlds.texts import TEXTS, answers, questions
from detector.lab.worlds.town import Town

#: Probability that a harvest request carries a scaffold, by evasion level.
SCAFFOLDED = (1.0, 0.97, 0.9, 0.5)
#: Renderings of each scaffold a campaign keeps, by evasion level. 0: a fresh paraphrase for each request.
RENDERINGS = (1, 4, 0, 0)
#: Scaffolds with hardly any text to reword.
_PLAIN = ("bulk", "translate")
#: Conversations sent in one block, so that memory does not grow with a campaign.
BLOCK = 40_000
#: Questions a campaign remembers having asked: beyond this number a repeat is too rare to matter.
MEMORY = 2_000_000


@dataclass(frozen=True)
class Plan:
    """One campaign instance of a world. ``volume`` is a factor on the campaign's rates."""

    evasion_level: int
    accounts: int
    ban_rate: float
    group: str
    poison: bool
    volume: float


@dataclass(frozen=True)
class Campaign:
    """One kind of abuse. ``accounts``, ``exchanges`` and ``days`` are the published size (0: none published).

    Three fields are by evasion level. ``per_day`` is harvest requests for each account and day. ``ordinary`` is the
    share of other people's traffic on its accounts. ``carriers`` is the share of accounts with no other traffic.
    ``weight`` 0 means single-account abuse.
    """

    name: str
    about: str
    kind: str
    accounts: int
    exchanges: int
    days: int
    make: Callable[[Town, Rng, Campaign, Plan], None]
    weight: float = 1.0
    scaffolds: tuple[tuple[str, float], ...] = ()
    domains: tuple[str, ...] = ()
    habit: Habit = honest.CHAT
    clients: str = "sdk"
    taste: str = "strong"
    per_day: tuple[float, float, float, float] = (24.0, 24.0, 6.0, 2.2)
    ordinary: tuple[float, float, float, float] = (0.0, 0.1, 0.5, 0.8)
    carriers: tuple[float, float, float, float] = (0.0, 0.0, 0.05, 0.12)
    pathways: int = 1
    pivot: float = 0.3


@dataclass
class Script:
    """What an instance keeps all its life: scaffolds, fields, system prompts, model switch."""

    rules: dict[str, str]
    ready: dict[str, Texts]
    share: Floats  # of the campaign's domains
    systems: Texts
    system_share: float
    switch_s: float
    switch_to: int
    switch_share: float
    paraphraser: Paraphraser
    asked: set[str] = field(default_factory=set)


def script(town: Town, rng: Rng, campaign: Campaign, evasion_level: int) -> Script:
    """Draw the script of one campaign instance."""
    rules, ready = {}, {}
    for kind, _ in campaign.scaffolds:
        families = town.grammar.names(f"scaffold.{kind}.")
        rules[kind] = families[int(rng.integers(len(families)))]
        ready[kind] = town.grammar.make(rng, rules[kind], RENDERINGS[evasion_level])
    own = evasion_level < 3 and rng.random() < 0.6
    systems = town.grammar.make(rng, "system.harvest", (1, 2, 3)[evasion_level] if own else 0)
    if np.isfinite(town.release_s):
        switch, to, part = town.release_s + rng.uniform(2, 20) * 3600, market.NEW, campaign.pivot
    elif rng.random() < 0.4:
        # Without a release the operator changes the configured model once, for all accounts.
        switch, to, part = (
            rng.uniform(0.2, 0.8) * town.end_s,
            int(market.models(rng, campaign.taste, 1)[0]),
            0.7,
        )
    else:
        switch, to, part = np.inf, 0, 0.0
    share = rng.dirichlet(np.full(len(campaign.domains), 2.0))
    return Script(
        rules, ready, share, systems, rng.uniform(0.3, 1.0), switch, to, part, Paraphraser(town.grammar)
    )


def _scaffolds(town: Town, rng: Rng, campaign: Campaign, plan: Plan, lines: Script, n: int) -> Texts:
    """The templates of ``n`` harvest requests, with unfilled {Q} and {A}."""
    out = np.full(n, "{Q}", dtype=object)
    weight = np.array([w for _, w in campaign.scaffolds])
    pick = rng.choice(len(weight), size=n, p=weight / weight.sum())
    used = rng.random(n) < SCAFFOLDED[plan.evasion_level]
    for i, (kind, _) in enumerate(campaign.scaffolds):
        at = np.flatnonzero((pick == i) & used)
        ready = lines.ready[kind]
        if len(ready):
            out[at] = ready[rng.integers(len(ready), size=len(at))]
        else:
            fresh = town.grammar.make(rng, lines.rules[kind], len(at))
            out[at] = lines.paraphraser.reword(rng, fresh) if kind not in _PLAIN else fresh
    return out


def harvest_text(
    town: Town, rng: Rng, campaign: Campaign, plan: Plan, lines: Script, people: People, who: Ints, turn: Ints
) -> tuple[Texts, Texts]:
    """Prompts and system prompts of harvest requests."""
    n = len(turn)
    # A campaign works through lists of questions from a few fields, in its own proportions.
    counts = rng.multinomial(n, lines.share).tolist()
    if len(lines.asked) > MEMORY:
        lines.asked.clear()
    parts = [
        questions(town.grammar, rng, c, (d,), lines.asked)
        for d, c in zip(campaign.domains, counts, strict=True)
    ]
    asked = rng.permutation(np.concatenate(parts))
    templates = _scaffolds(town, rng, campaign, plan, lines, n)
    prompt = fill(templates, Q=asked, A=answers(town.grammar, rng, n))
    later = np.flatnonzero((turn > 1) & (rng.random(n) < 0.4))
    prompt[later] = town.grammar.make(rng, "followup", len(later))
    # Best-of-k sampling and broken connections repeat some prompts word for word.
    twice = np.flatnonzero(rng.random(n) < 0.02)
    prompt[twice] = prompt[np.maximum(twice - 1, 0)]
    system = people.system[who].copy()
    if len(lines.systems):
        used = np.flatnonzero(rng.random(n) < lines.system_share)
        system[used] = lines.systems[rng.integers(len(lines.systems), size=len(used))]
    return prompt, system


_COVER: tuple[tuple[Habit, str, str, float], ...] = (
    (honest.SERVICE, "everything", "web", 3.0), (honest.CODE, "code", "sdk", 1.5),
    (honest.AGENT, "agent", "agent", 1.5), (honest.WRITE, "writer", "web", 0.8),
    (honest.STUDENT, "student", "web", 0.8), (honest.CHAT, "foreign", "web", 1.0),
)  # fmt: skip


def ordinary(town: Town, rng: Rng, people: People, total: float, *, evasion_level: int) -> None:
    """Unrelated customers' traffic on these accounts, about ``total`` requests.

    On evasion levels 0 and 1 any customer's requests go through any account. On evasion levels 2 and 3 an account has
    one or two customers and one client, so that it looks like a person's account.
    """
    if total < 1 or not len(people):
        return
    people = people.take(np.argsort(people.account))
    weight = np.array([c[3] for c in _COVER]) * rng.gamma(2, 0.5, len(_COVER))
    volume = clock.volumes(rng, len(people), mean=1.0, sigma=1.0 if evasion_level < 2 else 1.2)
    main = rng.choice(len(_COVER), size=len(people), p=weight / weight.sum())
    second = rng.random((len(people), len(_COVER))) < (0.4 if evasion_level < 2 else 0.08)
    used = second | (np.arange(len(_COVER))[None, :] == main[:, None])
    volume = volume / used.sum(axis=1)
    scale = total / float((volume * used.sum(axis=1)).sum())
    for i, (habit, text, kind, _) in enumerate(_COVER):
        some = np.flatnonzero(used[:, i])
        if not len(some):
            continue
        agent = text == "agent"
        traits = Traits(
            "", clients=kind, system="agent" if agent else "some", use=habit.use,
            toolset=market.AGENT_TOOLSETS if agent else None,
        )  # fmt: skip
        part = people.take(some)
        crowd = customers(
            town, rng, part, 3 if evasion_level < 2 else 1.3, traits, named=0.3 if evasion_level < 2 else 0.04,
            same=0.3 if evasion_level < 2 else 0.7,
        )  # fmt: skip
        row = np.searchsorted(part.account, crowd.account)
        if evasion_level >= 2:
            # On these levels a relay gives an account one zone and one language where it can.
            keep = rng.random(len(crowd)) < 0.6
            crowd.zone_h = np.where(keep, part.zone_h[row], crowd.zone_h)
            crowd.country = np.where(keep, part.country[row], crowd.country)
        crowd.clients = part.clients[row]
        rate = volume[some][row] / np.bincount(row)[row] * scale
        town.speak(rng, crowd, habit, rate, TEXTS[text])


def hydra(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """A campaign over many accounts: a relay dispatches harvest, and ordinary customers use the same accounts."""
    evasion_level = plan.evasion_level
    truth = {"label": 1, "kind": campaign.kind, "campaign": campaign.name, "group": plan.group}
    crew = relay.recruit(
        town, rng, plan.accounts, evasion_level=evasion_level, ban_rate=plan.ban_rate, truth=truth, taste=campaign.taste,
        use="harvest", clients=campaign.clients if evasion_level < 2 else "any", pathways=campaign.pathways,
    )  # fmt: skip
    slots = np.arange(plan.accounts)
    carrying = (
        slots[rng.random(plan.accounts) < campaign.carriers[evasion_level]]
        if plan.accounts > 3
        else slots[:0]
    )
    able = np.setdiff1d(slots, carrying)
    idle = np.isin(crew.slot, carrying)
    town.relabel(crew.people.account[idle], kind="resale")
    active_days = (town.end_s - max(crew.opens_s, 0.0)) / clock.DAY_S
    harvest = campaign.per_day[evasion_level] * plan.volume * len(able) * active_days
    lines = script(town, rng, campaign, evasion_level)
    rhythm = str(rng.choice(["office", "late", "flat"]))
    starts = relay.arrivals(
        town, rng, crew, harvest, evasion_level=evasion_level, rhythm=rhythm, turns_mean=campaign.habit.turns_mean
    )  # fmt: skip
    who = relay.balance(town, rng, crew, starts, evasion_level=evasion_level, able=able)
    victims = town.victims(rng, max(1, plan.accounts // 15)) if plan.poison else []
    for low in range(0, len(starts), BLOCK):
        part = slice(low, low + BLOCK)
        _send(town, rng, campaign, plan, lines, crew.people, starts[part], who[part], victims)
    mixed = campaign.ordinary[evasion_level]
    ordinary(
        town,
        rng,
        crew.people.take(np.flatnonzero(~idle)),
        harvest * mixed / (1 - mixed),
        evasion_level=evasion_level,
    )
    # Accounts with customers only have traffic even where the other accounts have little.
    extra = len(carrying) * (14.0, 14.0, 9.0, 8.0)[evasion_level] * plan.volume * active_days
    ordinary(town, rng, crew.people.take(np.flatnonzero(idle)), extra, evasion_level=evasion_level)


def _send(
    town: Town, rng: Rng, campaign: Campaign, plan: Plan, lines: Script, people: People, starts: Floats,
    who: Ints,
    victims: list[Victim],
) -> None:  # fmt: skip
    starts, who = starts[who >= 0], who[who >= 0]
    habit = campaign.habit
    counts = clock.turns(rng, len(starts), single=habit.single, more=habit.more)
    session, ts, turn = clock.unroll(rng, starts, counts, gap_s=habit.gap_s, sigma=habit.gap_sigma)
    who = who[session]
    keep = (ts < np.minimum(people.until_s[who], town.end_s)) & (ts >= people.born_s[who])
    session, ts, turn, who = session[keep], ts[keep], turn[keep], who[keep]
    n = len(who)
    if not n:
        return
    prompt, system = harvest_text(town, rng, campaign, plan, lines, people, who, turn)
    rows = Rows(who, ts, turn, session, prompt, system)
    model = np.where(
        rng.random(n) < people.loyal[who], people.model[who], market.models(rng, campaign.taste, n)
    )
    moved = (ts > lines.switch_s) & (rng.random(n) < lines.switch_share)
    rows.over["model"] = np.where(moved, lines.switch_to, model)
    if victims:
        _frame(town, rng, people, rows, victims)
    town.emit(rng, people, habit, rows, harvest=True)


def _frame(town: Town, rng: Rng, people: People, rows: Rows, victims: list[Victim]) -> None:
    """Poisoning: a tenth of the harvest copies victims' networks, clients and prompts to implicate the victims."""
    n = len(rows)
    hit = np.flatnonzero(rng.random(n) < 0.1)
    second = (rng.random(n) < 0.2).astype(int)
    address, client = people.addresses[rows.who, second], people.clients[rows.who, second]
    of = rng.integers(len(victims), size=len(hit))
    for i, victim in enumerate(victims):
        at = hit[of == i]
        if not len(at):
            continue
        near = np.array([town.network.neighbour(victim.address) for _ in range(3)])
        address[at], client[at] = near[rng.integers(3, size=len(at))], victim.client
        some = at[rng.random(len(at)) < 0.5]
        rows.prompt[some] = rng.choice(np.array(victim.prompts, dtype=object), size=len(some))
        town.relabel(np.array([victim.account]), framed=True)
    rows.over["address"], rows.over["client"] = address, client
