"""Honest programs that read the odds of a short answer: routers, graders, moderation, tests by likelihood.

They ask for one to five tokens and the probabilities of the alternatives. Now and then they bias the labels, or draw
several samples and let them vote. One request of an extraction shows no more, so such a request proves nothing alone.
The difference is in what is asked, how evenly, and by whom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from detector.lab.worlds import clock, market
from detector.lab.worlds.grammar import Texts, fill
from detector.lab.worlds.persona import Bools, Floats, Habit, Ints, People, Rng, Rows

if TYPE_CHECKING:
    from detector.lab.worlds.town import Town

#: Share of owners who keep doing it, for programs and for people. People mostly try it for a day.
STEADY = {True: 0.85, False: 0.3}
#: Share of steady owners who send hardly anything else. The others do it in as little as one call in 200.
NEARLY_ALL = 0.35
#: Share of owners who bias the labels (half of them without reading probabilities), and share who take votes.
BIASED, VOTING = 0.1, 0.15
#: Share of owners who use a framework's template rather than one of their own.
STOCK = 0.4
#: Numbers of alternatives listed, and limits on the answer, with their weights. Limit 0: the prompt asks for one word.
LISTED, LISTED_WEIGHTS = (1, 2, 3, 5, 8, 10, 20), (0.09, 0.07, 0.09, 0.32, 0.03, 0.15, 0.25)
MOST, MOST_WEIGHTS = (1, 2, 3, 4, 5, 0), (0.5, 0.08, 0.09, 0.03, 0.13, 0.17)
SAMPLES = (3, 5, 8, 10, 16, 20, 32)
_TEMPERATURES = tuple(market.TEMPERATURES.index(t) for t in (0.0, None, 1.0))
_VOTE_TEMPERATURES = tuple(market.TEMPERATURES.index(t) for t in (0.7, 1.0, 0.5))
_GRADED = ("maths", "science", "cs", "law", "medicine", "history", "life", "business")


@dataclass(frozen=True)
class _Owners:
    """How each owner of a program reads odds, one row for each owner."""

    steady: Bools
    share: Floats  # of all its calls, or of those on its one day
    by_run: Bools  # such calls fill whole hours instead of standing among others
    listed: Ints
    most: Ints
    temperature: Ints
    biased: Bools
    votes: Bools
    long: Bools  # votes on whole answers
    inward: Bools  # the program sorts incoming prompts instead of texts of its own
    template: Texts


def _owners(town: Town, rng: Rng, habit: Habit, n: int) -> _Owners:
    steady = rng.random(n) < STEADY[habit.use == "batch" or habit.text == "app"]
    often = np.where(
        rng.random(n) < NEARLY_ALL,
        rng.uniform(0.6, 1.0, n),
        np.exp(rng.uniform(np.log(0.005), np.log(0.6), n)),
    )
    biased, votes = rng.random(n) < BIASED, rng.random(n) < VOTING
    listed = rng.choice(LISTED, size=n, p=LISTED_WEIGHTS)
    quiet = votes | (biased & (rng.random(n) < 0.5))
    cool = rng.choice(_TEMPERATURES, size=n, p=(0.65, 0.25, 0.1))
    rule = f"odds.{habit.odds_of}"
    template = town.grammar.make(rng, rule, n)
    stock = town.stock_templates(rule)
    taken = np.flatnonzero(rng.random(n) < STOCK)
    template[taken] = stock[rng.integers(len(stock), size=len(taken))]
    return _Owners(
        steady=steady,
        share=np.where(steady, often, rng.uniform(0.3, 1.0, n)),
        by_run=rng.random(n) < 0.5,
        listed=np.where(quiet, 0, listed),
        most=rng.choice(MOST, size=n, p=MOST_WEIGHTS),
        temperature=np.where(votes, rng.choice(_VOTE_TEMPERATURES, size=n), cool),
        biased=biased,
        votes=votes,
        long=votes & (rng.random(n) < 0.65),
        inward=rng.random(n) < (0.0 if habit.use == "batch" else 0.6),
        template=template,
    )


def _chosen(rng: Rng, owners: _Owners, owner: Ints, ts: Floats) -> Bools:
    """Which requests of these owners read odds."""
    n = len(owner)
    _, hour = np.unique(owner * 100_000 + (ts // 3600).astype(np.int64), return_inverse=True)
    luck = np.where(owners.by_run[owner], rng.random(n)[hour], rng.random(n))
    # An owner who tries it does so on a day it was active: the day of one of its requests.
    day = np.zeros(len(owners.steady))
    order = rng.permutation(n)
    day[owner[order]] = ts[order]
    near = np.abs(ts - day[owner]) < clock.DAY_S / 2
    picked: Bools = (luck < owners.share[owner]) & (owners.steady[owner] | near)
    return picked


def _prompts(town: Town, rng: Rng, habit: Habit, owners: _Owners, owner: Ints, prompt: Texts) -> Texts:
    """Prompts of these calls. ``prompt`` is what the same requests would have said otherwise."""
    n, grammar = len(owner), town.grammar
    if habit.odds_of == "exam":
        # A run works through a test in order, from the item where it was resumed.
        exams = town.exams(rng)
        number = rng.integers(len(exams), size=len(owners.steady))[owner]
        at = rng.integers(1000, size=len(owners.steady))[owner] + np.arange(n)
        return np.array(
            [exams[e][i % len(exams[e])] for e, i in zip(number.tolist(), at.tolist(), strict=True)],
            dtype=object,
        )
    matter = grammar.make(rng, "ticket", n)
    if habit.odds_of == "verdict":
        domain = rng.integers(len(_GRADED), size=n)
        for i, name in enumerate(_GRADED):
            matter[domain == i] = grammar.make(rng, f"ask.{name}", int((domain == i).sum()))
    else:
        documents = np.flatnonzero(rng.random(n) < 0.4)
        matter[documents] = grammar.make(rng, "doc", len(documents))
        matter = np.where(owners.inward[owner], prompt, matter)
    return fill(owners.template[owner], Q=matter, A=grammar.make(rng, "fake.answer", n))


def read_odds(town: Town, rng: Rng, people: People, habit: Habit, rows: Rows) -> Rows:
    """The rows in which some requests of some of these people have become such calls.

    ``habit.odds`` is the share of owners who do it. Worlds differ in it (``town.odds_fashion``). An owner is a person,
    or the account where a program speaks for many people.
    """
    _, row = np.unique(people.account, return_inverse=True)
    unit = row if habit.text == "app" else np.arange(len(people))
    count = int(unit.max()) + 1
    does = rng.random(count) < min(0.9, habit.odds * town.odds_fashion)
    chosen = np.flatnonzero(does[unit[rows.who]])
    if not len(chosen):
        return rows
    owners = _owners(town, rng, habit, int(does.sum()))
    owner = (np.cumsum(does) - 1)[unit[rows.who[chosen]]]
    picked = _chosen(rng, owners, owner, rows.ts[chosen])
    chosen, owner = chosen[picked], owner[picked]
    n = len(chosen)
    if not n:
        return rows
    long, most = owners.long[owner], owners.most[owner]
    prompt, turn, session = rows.prompt.copy(), rows.turn.copy(), rows.session.copy()
    said = _prompts(town, rng, habit, owners, owner, rows.prompt[chosen])
    prompt[chosen] = np.where(long, rows.prompt[chosen], said)
    turn[chosen], session[chosen] = 1, int(rows.session.max()) + 1 + np.arange(n)
    words = np.minimum(rng.geometric(0.72, n), np.where(most > 0, most, 4)).astype(float)
    # Without a limit the model sometimes adds an explanation.
    wordy = (most == 0) & (rng.random(n) < 0.08)
    over = dict(rows.over)
    for name, value in {
        "logprobs": owners.listed[owner],
        "bias": (owners.biased[owner] & (rng.random(n) < 0.95)).astype(np.int64),
        "several": np.where(owners.votes[owner], rng.choice(SAMPLES, size=len(owners.votes))[owner], 1),
        "temperature": owners.temperature[owner],
        "tools": np.zeros(n, dtype=np.int64),
        "stream": np.zeros(n, dtype=np.int64),
        "most": np.where(long, -1, most),
        "out": np.where(long, -1.0, np.where(wordy, np.exp(rng.normal(3.0, 0.8, n)), words)),
    }.items():
        # A value below 0 keeps the drawn value, here for all other requests.
        column = np.full(len(rows), -1, dtype=value.dtype)
        column[chosen] = value
        over[name] = column
    return replace(rows, prompt=prompt, turn=turn, session=session, over=over)
