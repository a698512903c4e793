"""Honest programs that read the odds of a short answer: routers, graders, moderation, tests by likelihood.

They ask for one to five tokens and the probabilities of the alternatives, now and then bias the labels or
draw several samples and let them vote: all that a request of an extraction shows, so that such a request
proves nothing alone. What remains of the difference is in what is asked, how evenly, and by whom.
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

#: Who does it once goes on for good: programs mostly, people at a keyboard seldom (they try it for a day).
STEADY = {True: 0.85, False: 0.3}
#: Of those, the share who send nearly nothing else; the others take anything down to one call in 200.
NEARLY_ALL = 0.35
#: Share who restrict the labels by biases, half of them without reading probabilities, and who take votes.
BIASED, VOTING = 0.1, 0.15
#: Share of owners who use a framework's template rather than one of their own.
STOCK = 0.4
#: Alternatives listed, and answers' limits (0: none set, the prompt asks for one word), with their weights.
LISTED, LISTED_WEIGHTS = (1, 2, 3, 5, 8, 10, 20), (0.09, 0.07, 0.09, 0.32, 0.03, 0.15, 0.25)
MOST, MOST_WEIGHTS = (1, 2, 3, 4, 5, 0), (0.5, 0.08, 0.09, 0.03, 0.13, 0.17)
SAMPLES = (3, 5, 8, 10, 16, 20, 32)
_TEMPERATURES = tuple(market.TEMPERATURES.index(t) for t in (0.0, None, 1.0))
_VOTE_TEMPERATURES = tuple(market.TEMPERATURES.index(t) for t in (0.7, 1.0, 0.5))
_GRADED = ("maths", "science", "cs", "law", "medicine", "history", "life", "business")


@dataclass(frozen=True)
class _Owners:
    """How each owner of a program does it; one row an owner."""

    steady: Bools
    share: Floats  # of his calls, or of those of his day
    by_run: Bools  # whole hours of such calls rather than one among others
    listed: Ints
    most: Ints
    temperature: Ints
    biased: Bools
    votes: Bools
    long: Bools  # votes on whole answers
    inward: Bools  # what comes in is sorted, rather than texts of his own
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


def _chosen(rng: Rng, ways: _Owners, owner: Ints, ts: Floats) -> Bools:
    """Which requests of these owners are such calls."""
    n = len(owner)
    _, hour = np.unique(owner * 100_000 + (ts // 3600).astype(np.int64), return_inverse=True)
    luck = np.where(ways.by_run[owner], rng.random(n)[hour], rng.random(n))
    # A day somebody worked at all: that of any request of his.
    day = np.zeros(len(ways.steady))
    order = rng.permutation(n)
    day[owner[order]] = ts[order]
    near = np.abs(ts - day[owner]) < clock.DAY_S / 2
    picked: Bools = (luck < ways.share[owner]) & (ways.steady[owner] | near)
    return picked


def _prompts(town: Town, rng: Rng, habit: Habit, ways: _Owners, owner: Ints, prompt: Texts) -> Texts:
    """What these calls say; ``prompt``: what the same requests would have said."""
    n, grammar = len(owner), town.grammar
    if habit.odds_of == "exam":
        # A test is gone through in its order, from wherever a run was resumed.
        exams = town.exams(rng)
        number = rng.integers(len(exams), size=len(ways.steady))[owner]
        at = rng.integers(1000, size=len(ways.steady))[owner] + np.arange(n)
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
        matter = np.where(ways.inward[owner], prompt, matter)
    return fill(ways.template[owner], Q=matter, A=grammar.make(rng, "fake.answer", n))


def read_odds(town: Town, rng: Rng, people: People, habit: Habit, rows: Rows) -> Rows:
    """Turns some requests of some of these people into such calls; gives the rows anew.

    ``habit.odds`` is the share of owners who do it, about which worlds differ (``town.odds_fashion``). An
    owner is a person, or the account where a program speaks for many.
    """
    _, row = np.unique(people.account, return_inverse=True)
    unit = row if habit.text == "app" else np.arange(len(people))
    count = int(unit.max()) + 1
    does = rng.random(count) < min(0.9, habit.odds * town.odds_fashion)
    mine = np.flatnonzero(does[unit[rows.who]])
    if not len(mine):
        return rows
    ways = _owners(town, rng, habit, int(does.sum()))
    owner = (np.cumsum(does) - 1)[unit[rows.who[mine]]]
    picked = _chosen(rng, ways, owner, rows.ts[mine])
    mine, owner = mine[picked], owner[picked]
    n = len(mine)
    if not n:
        return rows
    long, most = ways.long[owner], ways.most[owner]
    prompt, turn, session = rows.prompt.copy(), rows.turn.copy(), rows.session.copy()
    said = _prompts(town, rng, habit, ways, owner, rows.prompt[mine])
    prompt[mine] = np.where(long, rows.prompt[mine], said)
    turn[mine], session[mine] = 1, int(rows.session.max()) + 1 + np.arange(n)
    words = np.minimum(rng.geometric(0.72, n), np.where(most > 0, most, 4)).astype(float)
    # Without a limit a model now and then explains itself.
    wordy = (most == 0) & (rng.random(n) < 0.08)
    over = dict(rows.over)
    for name, value in {
        "logprobs": ways.listed[owner],
        "bias": (ways.biased[owner] & (rng.random(n) < 0.95)).astype(np.int64),
        "several": np.where(ways.votes[owner], rng.choice(SAMPLES, size=len(ways.votes))[owner], 1),
        "temperature": ways.temperature[owner],
        "tools": np.zeros(n, dtype=np.int64),
        "stream": np.zeros(n, dtype=np.int64),
        "most": np.where(long, -1, most),
        "out": np.where(long, -1.0, np.where(wordy, np.exp(rng.normal(3.0, 0.8, n)), words)),
    }.items():
        # Less than 0 leaves the others' requests as they are drawn.
        column = np.full(len(rows), -1, dtype=value.dtype)
        column[mine] = value
        over[name] = column
    return replace(rows, prompt=prompt, turn=turn, session=session, over=over)
