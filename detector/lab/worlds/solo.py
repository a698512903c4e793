"""Single-account abuse: extraction of log-probabilities, a stolen key, a key that many people share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detector.lab.worlds import clock, honest, relay
from detector.lab.worlds.harvest import Campaign, Plan, ordinary
from detector.lab.worlds.people import Traits, customers, settle, systems
from detector.lab.worlds.persona import Rng, Rows
from detector.lab.worlds.texts import TEXTS, none, questions
from detector.lab.worlds.town import Town


def _truth(campaign: Campaign, plan: Plan) -> dict[str, object]:
    return {"label": 1, "kind": campaign.kind, "campaign": campaign.name, "group": plan.group}


def logits(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """One or a few accounts that ask for probabilities instead of answers."""
    evasion_level = plan.evasion_level
    people = relay.recruit(
        town, rng, plan.accounts, evasion_level=evasion_level, ban_rate=plan.ban_rate, truth=_truth(campaign, plan),
        taste="mixed",
        use="batch", clients="sdk", pathways=2,
    ).people  # fmt: skip
    rate = np.full(len(people), campaign.per_day[evasion_level] * plan.volume * town.days)
    who, ts, turn, _ = town.times(rng, people, campaign.habit, rate)
    n = len(who)
    if n:
        prompt = questions(town.grammar, rng, n, campaign.domains)
        cut = rng.integers(3, 10, n).tolist()
        # Most requests ask for the next token after a cut sentence.
        stems = np.array(
            [p[: max(8, len(p) * k // 10)] for p, k in zip(prompt, cut, strict=True)], dtype=object
        )
        form = rng.random(n)
        rows = Rows(who, ts, np.ones_like(turn), np.arange(n), np.where(form < 0.6, stems, prompt), none(n))
        rows.over.update(
            logprobs=np.where(form < 0.9, rng.choice([5, 10, 20], size=n), 0),
            bias=rng.random(n) < (0.35, 0.3, 0.2, 0.1)[evasion_level],
            several=np.where(rng.random(n) < 0.15, rng.choice([8, 16, 32, 64], size=n), 1),
            out=np.where(form < 0.85, 1.0, rng.geometric(0.1, n)),
            # Only a limit ends an answer to an open question after one token.
            most=np.where(form < 0.85, 1, 0),
        )
        town.emit(rng, people, campaign.habit, rows, harvest=True)
    mixed = campaign.ordinary[evasion_level]
    ordinary(town, rng, people, n * mixed / (1 - mixed), evasion_level=evasion_level)


def theft(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """Stolen keys: the owner goes on as before, and from some day on strangers use the same key elsewhere."""
    traits = Traits("victim", clients="sdk", taste="strong", use="code", truth=_truth(campaign, plan))
    people = settle(town, rng, plan.accounts, traits)
    usual = clock.volumes(rng, len(people), mean=10 * town.days, sigma=0.8)
    town.speak(rng, people, honest.CODE, usual, TEXTS["code"])
    # All stolen keys go through the thieves' one relay.
    exits = [
        town.network.hosting() if plan.evasion_level < 2 else int(rng.choice(town.network.exits))
        for _ in range(4)
    ]
    crowd = customers(
        town, rng, people, (12, 9, 6, 3)[plan.evasion_level], Traits("", clients="any", taste="strong")
    )
    crowd.addresses = rng.choice(np.array(exits), size=(len(crowd), 2))
    crowd.vpn = np.full(len(crowd), 0.2)
    stolen = rng.uniform(0.15, 0.6, len(people)) * town.end_s
    crowd.born_s = np.maximum(crowd.born_s, stolen[np.searchsorted(people.account, crowd.account)])
    per_head = campaign.per_day[plan.evasion_level] * plan.volume * town.days * len(people) / len(crowd)
    habit = replace(honest.SERVICE, rhythm="night", burst=0.5, sessions=0.2)
    who, ts, turn, session = town.times(rng, crowd, habit, np.full(len(crowd), per_head))
    if len(who):
        prompt, system = TEXTS["everything"](town, rng, crowd, who, turn, session)
        town.emit(rng, crowd, habit, Rows(who, ts, turn, session, prompt, system), harvest=True)


def sharing(town: Town, rng: Rng, campaign: Campaign, plan: Plan) -> None:
    """One key that many people share: many places, languages and programs at once, and no relay."""
    people = settle(town, rng, plan.accounts, Traits("sharer", clients="sdk", truth=_truth(campaign, plan)))
    crowd = customers(town, rng, people, (40, 25, 12, 6)[plan.evasion_level], Traits("", clients="any"))
    crowd.end_user = none(len(crowd))
    homes = np.array([town.network.home(int(c)) for c in crowd.country])
    crowd.addresses = np.stack([homes, homes], axis=1)
    crowd.mobile = np.where(rng.random(len(crowd)) < 0.3, rng.beta(1.2, 1.6, len(crowd)), 0.0)
    crowd.system = systems(town, rng, len(crowd), "some")
    per_head = campaign.per_day[plan.evasion_level] * plan.volume * town.days * len(people) / len(crowd)
    rate = clock.volumes(rng, len(crowd), mean=per_head, sigma=0.9)
    who, ts, turn, session = town.times(rng, crowd, honest.SERVICE, rate)
    if len(who):
        prompt, system = TEXTS["everything"](town, rng, crowd, who, turn, session)
        town.emit(rng, crowd, honest.SERVICE, Rows(who, ts, turn, session, prompt, system), harvest=True)
