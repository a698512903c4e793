"""Campaigns on record, and single-account abuse, as makers of labelled traffic.

Published sizes stand beside each; what a scaffold says is in the phrase files, how accounts are run in
``relay``. Campaign names describe what is asked for, so that nothing here accuses anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.backtest.synth import clock, market, relay
from detector.backtest.synth.archetypes import AGENT, CHAT, CODE, SERVICE, STUDENT, WRITE
from detector.backtest.synth.grammar import Texts, fill
from detector.backtest.synth.network import COUNTRIES
from detector.backtest.synth.people import Traits, customers, settle, systems
from detector.backtest.synth.texts import TEXTS, answers, none, questions
from detector.backtest.synth.town import Habit, Ints, People, Rng, Rows, Town

#: Probability that a harvest request carries a scaffold, by rung.
SCAFFOLDED = (1.0, 0.97, 0.9, 0.5)
#: Renderings of its scaffolds a campaign holds ready; 0: a fresh paraphrase for each request.
RENDERINGS = (1, 4, 0, 0)


@dataclass(frozen=True)
class Plan:
    """What the world asks of one campaign instance."""

    rung: int
    accounts: int
    ban_rate: float
    group: str
    poison: bool
    volume: float  # factor on published rates


@dataclass(frozen=True)
class Campaign:
    """One kind of abuse; ``accounts``, ``exchanges`` and ``days`` are the published size (0: none published).

    ``per_day`` is harvest requests an account and day, and ``ordinary`` the share of other people's traffic
    on its accounts, both by rung.
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
    habit: Habit = CHAT
    clients: str = "sdk"
    taste: str = "strong"
    per_day: tuple[float, float, float, float] = (24.0, 24.0, 11.0, 2.4)
    ordinary: tuple[float, float, float, float] = (0.0, 0.1, 0.5, 0.8)
    carriers: tuple[float, float, float, float] = (0.0, 0.0, 0.05, 0.12)
    pathways: int = 1
    pivot: float = 0.3


def _scaffolds(town: Town, rng: Rng, campaign: Campaign, rung: int, n: int) -> Texts:
    """The templates of ``n`` harvest requests, with {Q} and {A} still open."""
    grammar = town.grammar
    out = np.full(n, "{Q}", dtype=object)
    kinds = [k for k, _ in campaign.scaffolds]
    weight = np.array([w for _, w in campaign.scaffolds])
    pick = rng.choice(len(kinds), size=n, p=weight / weight.sum())
    for i, kind in enumerate(kinds):
        at = np.flatnonzero((pick == i) & (rng.random(n) < SCAFFOLDED[rung]))
        if not len(at):
            continue
        families = grammar.names(f"scaffold.{kind}.")
        rule = families[int(rng.integers(len(families)))]
        ready = RENDERINGS[rung]
        if ready:
            made = grammar.make(rng, rule, ready)
            out[at] = made[rng.integers(ready, size=len(at))]
        else:
            out[at] = grammar.make(rng, rule, len(at))
    return out


def _harvest_text(
    town: Town, rng: Rng, campaign: Campaign, rung: int, turn: Ints, who: Ints, people: People
) -> tuple[Texts, Texts]:
    n = len(turn)
    # A campaign walks lists of a few fields in its own proportions and starts anywhere in them.
    share = rng.dirichlet(np.full(len(campaign.domains), 2.0))
    counts = rng.multinomial(n, share)
    parts = [
        questions(town.grammar, rng, int(c), (d,))
        for d, c in zip(campaign.domains, counts.tolist(), strict=True)
        if c
    ]
    asked = rng.permutation(np.concatenate(parts)) if parts else none(0)
    prompt = fill(_scaffolds(town, rng, campaign, rung, n), Q=asked, A=answers(town.grammar, rng, n))
    later = np.flatnonzero((turn > 1) & (rng.random(n) < 0.4))
    prompt[later] = town.grammar.make(rng, "followup", len(later))
    # Best-of-k sampling and broken connections repeat some prompts word by word.
    twice = np.flatnonzero(rng.random(n) < 0.02)
    prompt[twice] = prompt[np.maximum(twice - 1, 0)]
    system = none(n)
    if rung < 3 and rng.random() < 0.6:
        own = town.grammar.make(rng, "system.harvest", (1, 2, 3)[rung])
        used = rng.random(n) < rng.uniform(0.3, 1.0)
        system[used] = own[rng.integers(len(own), size=n)][used]
    plain = np.equal(system, None)
    system[plain] = people.system[who][plain]
    return prompt, system


_COVER: tuple[tuple[Habit, str, str, float], ...] = (
    (SERVICE, "everything", "web", 3.0), (CODE, "code", "sdk", 1.5), (AGENT, "agent", "agent", 1.5),
    (WRITE, "writer", "web", 0.8), (STUDENT, "student", "web", 0.8), (CHAT, "foreign", "web", 1.0),
)  # fmt: skip


def ordinary(
    town: Town, rng: Rng, people: People, total: float, *, rung: int, sigma: float = 1.0, forward: bool = True
) -> None:
    """Unrelated customers' traffic on these accounts, about ``total`` requests; ``forward``: clients pass through."""
    if total < 1 or not len(people):
        return
    weight = np.array([c[3] for c in _COVER]) * rng.gamma(2, 0.5, len(_COVER))
    weight /= weight.sum()
    volume = clock.volumes(rng, len(people), mean=1.0, sigma=sigma)
    volume /= volume.sum()
    for (habit, text, kind, _), part in zip(_COVER, weight.tolist(), strict=True):
        some = np.flatnonzero(rng.random(len(people)) < 0.55)
        if not len(some):
            continue
        traits = Traits("", clients=kind, system="agent" if text == "agent" else "some", taste="mixed", use=habit.use,
                        toolset=market.AGENT_TOOLSETS if text == "agent" else None)  # fmt: skip
        crowd = customers(town, rng, people.take(some), 2, traits)
        if not forward:
            crowd.clients = people.take(some).clients[np.searchsorted(people.account[some], crowd.account)]
        share = volume[some][np.searchsorted(people.account[some], crowd.account)]
        share = share / np.bincount(crowd.account, minlength=int(crowd.account.max()) + 1)[crowd.account]
        town.speak(rng, crowd, habit, share / share.sum() * total * part, TEXTS[text])


def _hydra(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """A campaign over many accounts: harvest dispatched by a relay, ordinary customers beside it."""
    rung = plan.rung
    truth = {"label": 1, "kind": campaign.kind, "campaign": campaign.name, "group": plan.group}
    crew = relay.recruit(
        town, rng, plan.accounts, rung=rung, ban_rate=plan.ban_rate, truth=truth, taste=campaign.taste, use="harvest",
        clients=campaign.clients if rung < 2 else "any", pathways=campaign.pathways, archetype="attacker",
    )  # fmt: skip
    people = crew.people
    slots = np.arange(plan.accounts)
    carrying = slots[rng.random(plan.accounts) < campaign.carriers[rung]] if plan.accounts > 3 else slots[:0]
    able = np.setdiff1d(slots, carrying)
    if len(carrying):
        town.relabel(people.account[np.isin(crew.slot, carrying)], kind="resale")
    active_days = (town.end_s - crew.opens_s) / clock.DAY_S
    habit = campaign.habit
    harvest = campaign.per_day[rung] * plan.volume * len(able) * active_days
    starts = relay.arrivals(
        town,
        rng,
        crew,
        harvest,
        rung=rung,
        rhythm=str(rng.choice(["office", "late", "flat"])),
        turns_mean=habit.turns_mean,
    )
    who = relay.balance(rng, crew, starts, rung=rung, able=able)
    starts, who = starts[who >= 0], who[who >= 0]
    counts = clock.turns(rng, len(starts), single=habit.single, more=habit.more)
    session, ts, turn = clock.unroll(rng, starts, counts, gap_s=habit.gap_s, sigma=habit.gap_sigma)
    who = who[session]
    keep = (ts < np.minimum(people.until_s[who], town.end_s)) & (ts >= people.born_s[who])
    session, ts, turn, who = session[keep], ts[keep], turn[keep], who[keep]
    if len(who):
        prompt, system = _harvest_text(town, rng, campaign, rung, turn, who, people)
        rows = Rows(who, ts, turn, session, prompt, system)
        rows.over["model"] = _switch(town, rng, campaign, people, rows)
        if plan.poison:
            _frame_honest(town, rng, people, rows)
        town.emit(rng, people, habit, rows, harvest=True)
    mixed = campaign.ordinary[rung]
    if mixed > 0:
        carried = harvest * mixed / (1 - mixed)
        # Only-carriers have traffic even where the others have little.
        extra = len(carrying) * max(campaign.per_day[rung], 6.0) * plan.volume * active_days
        busy = np.flatnonzero(~np.isin(crew.slot, carrying))
        idle = np.flatnonzero(np.isin(crew.slot, carrying))
        order = np.argsort(people.account[busy])
        ordinary(town, rng, people.take(busy[order]), carried, rung=rung, forward=rung >= 2)
        order = np.argsort(people.account[idle])
        ordinary(town, rng, people.take(idle[order]), extra, rung=rung, forward=rung >= 2)


def _switch(town: Town, rng: Rng, campaign: Campaign, people: People, rows: Rows) -> Ints:
    """Models of harvest requests: the account's taste, and after a release a move of all accounts at once."""
    n = len(rows)
    model = np.where(rng.random(n) < 0.8, people.model[rows.who], market.models(rng, campaign.taste, n))
    if np.isfinite(town.release_s):
        hours = rng.uniform(2, 20)
        moved = (rows.ts > town.release_s + hours * 3600) & (rng.random(n) < campaign.pivot)
        model = np.where(moved, market.NEW, model)
    elif rng.random() < 0.4:
        # Without a release the operator changes the configured model one day, for everybody.
        at, other = rng.uniform(0.2, 0.8) * town.end_s, market.models(rng, campaign.taste, 1)[0]
        model = np.where((rows.ts > at) & (rng.random(n) < 0.7), other, model)
    return model


def _frame_honest(town: Town, rng: Rng, people: People, rows: Rows) -> None:
    """Poisoning: a tenth of the harvest copies victims' networks, clients and prompts, to implicate them."""
    victims = town.victims(rng, max(1, len(people) // 15))
    n = len(rows)
    hit = np.flatnonzero(rng.random(n) < 0.1)
    if not len(victims) or not len(hit):
        return
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
        if victim.prompts:
            rows.prompt[some] = rng.choice(np.array(victim.prompts, dtype=object), size=len(some))
        town.mark_framed(victim.account)
    rows.over["address"], rows.over["client"] = address, client


def _logits(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """A single account (or a few) that asks for probabilities instead of answers."""
    rung = plan.rung
    truth = {"label": 1, "kind": campaign.kind, "campaign": campaign.name, "group": plan.group}
    crew = relay.recruit(
        town, rng, plan.accounts, rung=rung, ban_rate=plan.ban_rate, truth=truth, taste="mixed", use="batch",
        clients="sdk", pathways=2, archetype="attacker",
    )  # fmt: skip
    people = crew.people
    rate = np.full(len(people), campaign.per_day[rung] * plan.volume * town.days)
    habit = campaign.habit
    who, ts, turn, session = town.times(rng, people, habit, rate)
    n = len(who)
    if n:
        prompt = questions(town.grammar, rng, n, campaign.domains)
        stems = np.array(
            [p[: max(8, len(p) * int(k) // 10)] for p, k in zip(prompt, rng.integers(3, 10, n), strict=True)],
            dtype=object,
        )
        form = rng.random(n)
        rows = Rows(who, ts, np.ones_like(turn), np.arange(n), np.where(form < 0.6, stems, prompt), none(n))
        rows.over.update(
            logprobs=np.where(form < 0.9, rng.choice([5, 10, 20], size=n), 0),
            bias=rng.random(n) < (0.35, 0.3, 0.2, 0.1)[rung],
            several=np.where(rng.random(n) < 0.15, rng.choice([8, 16, 32, 64], size=n), 1),
            out=np.where(form < 0.85, 1.0, rng.geometric(0.1, n)),
            limit=np.full(n, 0),
        )
        town.emit(rng, people, habit, rows, harvest=True)
    mixed = campaign.ordinary[rung]
    order = np.argsort(people.account)
    ordinary(town, rng, people.take(order), float(n) * mixed / (1 - mixed), rung=rung)


def _theft(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """Stolen keys: the owner goes on as before, and from a day on strangers spend on the same key elsewhere."""
    truth = {"label": 1, "kind": campaign.kind, "campaign": campaign.name, "group": plan.group}
    people = settle(
        town, rng, plan.accounts, Traits("victim", clients="sdk", taste="strong", use="code", truth=truth)
    )
    town.speak(
        rng, people, CODE, clock.volumes(rng, len(people), mean=10 * town.days, sigma=0.8), TEXTS["code"]
    )
    # The thieves' relay is one; the stolen keys are many.
    exits = [
        town.network.hosting() if plan.rung < 2 else int(rng.choice(town.network.exits)) for _ in range(4)
    ]
    crowd = customers(town, rng, people, (12, 9, 6, 3)[plan.rung], Traits("", clients="any", taste="strong"))
    crowd.addresses = rng.choice(np.array(exits), size=(len(crowd), 2))
    crowd.vpn = np.full(len(crowd), 0.2)
    stolen = rng.uniform(0.15, 0.6, len(people)) * town.end_s
    begins = stolen[np.searchsorted(people.account, crowd.account)]
    crowd.born_s = np.maximum(crowd.born_s, begins)
    per_head = campaign.per_day[plan.rung] * plan.volume * town.days * len(people) / len(crowd)
    habit = replace(SERVICE, rhythm="night", burst=0.5, sessions=0.2)
    who, ts, turn, session = town.times(rng, crowd, habit, np.full(len(crowd), per_head))
    if len(who):
        prompt, system = TEXTS["everything"](town, rng, crowd, who, turn, session)
        town.send(rng, crowd, habit, who, ts, turn, session, prompt, system, harvest=True)


def _sharing(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """One key passed around: many people, places, languages and programs at once, none of them a relay."""
    truth = {"label": 1, "kind": campaign.kind, "campaign": campaign.name, "group": plan.group}
    people = settle(town, rng, plan.accounts, Traits("sharer", clients="sdk", truth=truth))
    crowd = customers(town, rng, people, (40, 25, 12, 6)[plan.rung], Traits("", clients="any"))
    crowd.end_user = none(len(crowd))
    homes = np.array([town.network.home(int(c)) for c in crowd.country])
    crowd.addresses = np.stack([homes, homes], axis=1)
    crowd.mobile = np.where(rng.random(len(crowd)) < 0.3, rng.beta(1.2, 1.6, len(crowd)), 0.0)
    crowd.system = systems(town, rng, len(crowd), "some")
    per_head = campaign.per_day[plan.rung] * plan.volume * town.days * len(people) / len(crowd)
    rate = clock.volumes(rng, len(crowd), mean=per_head, sigma=0.9)
    who, ts, turn, session = town.times(rng, crowd, SERVICE, rate)
    if len(who):
        prompt, system = TEXTS["everything"](town, rng, crowd, who, turn, session)
        town.send(rng, crowd, SERVICE, who, ts, turn, session, prompt, system, harvest=True)


_ASK = Habit(
    "", single=0.6, more=1.3, gap_s=45, out=(6.2, 0.9), use="harvest", sessions=0.5, stream=0.45, system=0.6
)
_WORK = replace(_ASK, single=0.25, more=5.0, gap_s=30, context=(7.8, 1.4), tools=0.7, out=(5.4, 1.3))
_PROBE = Habit("", rhythm="flat", single=0.3, more=60, gap_s=2.0, gap_sigma=1.2, burst=1.2, use="batch", stream=0.03,
               sessions=0.1, out=(0.3, 0.5), context=(1.0, 0.5))  # fmt: skip

_FOUND = (
    Campaign("cot_rubric", "reasoning made explicit, rubric grading, censorship-safe rewriting", "distillation", 200, 150_000, 34,
             _hydra, 1.2, (("cot", 0.5), ("grading", 0.32), ("rewrite", 0.18)), ("maths", "science", "law", "history", "safety", "zh"),
             _ASK, per_day=(22, 22, 11, 2.4)),
    Campaign("agentic_tools", "agentic reasoning, tools, coding, data analysis, vision; later reconstructed traces", "distillation",
             500, 3_400_000, 45, _hydra, 1.0, (("agentic", 0.55), ("coding", 0.2), ("trace", 0.12), ("bulk", 0.13)),
             ("agentic", "code", "data", "vision"), replace(_WORK, images=0.12), per_day=(40, 36, 14, 3.0), pathways=4),
    Campaign("agentic_coding", "agentic coding and orchestration; moves to a new model within a day", "distillation", 5_000, 13_000_000, 45,
             _hydra, 1.0, (("coding", 0.6), ("agentic", 0.4)), ("code", "agentic"), _WORK, "agent",
             per_day=(45, 40, 14, 3.0), pathways=3, pivot=0.5),
    Campaign("software_engineering_long", "software engineering and long tasks by light users", "distillation", 25_000, 28_800_000, 45,
             _hydra, 1.0, (("coding", 0.7), ("agentic", 0.3)), ("code", "cs", "agentic"), replace(_WORK, single=0.35, out=(6.0, 1.2)),
             per_day=(26, 26, 11, 2.6), pathways=2),
    Campaign("trace_coercion", "reasoning traces forced out, in languages other than English", "distillation", 150, 100_000, 20,
             _hydra, 1.0, (("trace", 1.0),), ("maths", "science", "zh", "ja", "de", "es"), _ASK, per_day=(30, 28, 11, 2.4)),
    Campaign("bulk_questions", "plain lists of questions, hardly any scaffold", "distillation", 400, 600_000, 30,
             _hydra, 1.0, (("bulk", 0.75), ("pairs", 0.25)), ("maths", "science", "medicine", "life", "writing", "business", "history", "zh"),
             replace(_ASK, single=0.75), taste="mixed", per_day=(36, 34, 13, 2.8)),
    Campaign("translation_pairs", "parallel sentences for a translation model", "distillation", 300, 400_000, 30,
             _hydra, 0.6, (("translate", 0.85), ("grading", 0.15)), ("sentence", "doc"), replace(_ASK, single=0.7, out=(4.8, 0.7)),
             taste="mixed", per_day=(36, 34, 13, 2.8)),
    Campaign("proxy_network", "resale of access with distillation mixed in; banned accounts replaced", "distillation", 20_000, 0, 45,
             _hydra, 1.0, (("cot", 0.4), ("coding", 0.35), ("pairs", 0.25)), ("maths", "code", "science", "cs"), _ASK,
             "server", per_day=(14, 14, 7, 2.2), ordinary=(0.4, 0.5, 0.6, 0.8), carriers=(0.35, 0.35, 0.35, 0.35), pathways=4),
    Campaign("logit_extraction", "log-probabilities, biases and one-token answers", "logit_extraction", 2, 200_000, 14,
             _logits, 0.0, (), ("science", "cs", "history", "writing"), _PROBE, per_day=(900, 500, 220, 60)),
    Campaign("key_theft", "stolen keys spent elsewhere beside their owners' use", "key_compromise", 4, 0, 7,
             _theft, 0.0, per_day=(150, 90, 40, 14)),
    Campaign("key_sharing", "one key used by many people", "key_sharing", 2, 0, 14, _sharing, 0.0, per_day=(120, 80, 40, 20)),
)  # fmt: skip
CAMPAIGNS: dict[str, Campaign] = {c.name: c for c in _FOUND}
#: Campaigns of a handful of accounts, whatever the share of attackers.
SINGLE = tuple(c.name for c in _FOUND if c.weight == 0)
_ = COUNTRIES
