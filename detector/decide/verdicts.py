"""From measurements to verdicts: scores of groups and accounts for one day, and the worst of their lives.

Verdicts come from calibrated probabilities and the operator's alert budget alone. Contracted resellers,
exempted accounts and groups that only copyable evidence holds together are ``watch`` at most, whatever they
score; their score is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.config import Config
from detector.decide import scoring
from detector.decide.scoring import Additive, Detector, likeliest_kind, probability, threshold

Floats = npt.NDArray[np.float64]

#: What a bond that an attacker could have planted may add to an account's own log-odds at most (bits).
PLANTED_BITS = 2.0
#: A member of a group worth a look that is less likely of the operation than this is let go (0..1).
LEAST_SURE = 0.5
#: A member of a group is accused from this probability on (0..1), whatever the alert budget leaves: the budget
#: counts groups and accounts that stand for themselves, and a true group may have swept in people beside it.
ACCUSED_FROM = 0.9
#: A group lends little to a member of which fewer bits than this can be shown (the ``why`` of an alert): about two
#: keys that hardly anybody else holds. What a reviewer cannot be shown accuses nobody.
LEAST_EVIDENCE = 3.0
_RANK = {"clear": 0, "watch": 1, "alert": 2}


@dataclass(frozen=True)
class Day:
    """What one day's scoring answers; tables in the columns of ``groups``, ``account_scores``, ``score_parts``.

    ``members`` are those of ``groups``: candidates found by likeness alone are kept from the day they are worth
    a look, since every class and every tool's users form one.
    """

    groups: pl.DataFrame
    accounts: pl.DataFrame
    parts: pl.DataFrame
    members: pl.DataFrame
    threshold: float


def columns_of(frame: pl.DataFrame) -> dict[str, Floats]:
    """Numeric and boolean columns as float arrays, NULL as NaN."""
    found = {}
    for name, dtype in frame.schema.items():
        if dtype.is_numeric() or dtype == pl.Boolean:
            found[name] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found


def score_frame(model: Additive, frame: pl.DataFrame) -> Floats:
    """Calibrated log2 odds of each row."""
    return model.bits(columns_of(frame), len(frame))


def group_columns(group_days: pl.DataFrame, members: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Measurements of groups, with what their members' own scores say.

    ``members``: group_id, account_id, bond, strength_bits, firm, likeness, linked_bits.
    ``own``: account_id, own_bits (today's).
    """
    summary = (
        members.join(own, on="account_id", how="left")
        .group_by("group_id")
        .agg(
            pl.col("own_bits").mean().alias("mean_own_bits"),
            (pl.col("own_bits") > -3).mean().alias("suspect_share"),
            pl.col("strength_bits").mean().alias("mean_strength_bits"),
            pl.col("firm").cast(pl.Float64).mean().alias("firm_share"),
            pl.col("likeness").mean().alias("mean_likeness"),
            (pl.col("bond") == "keys").mean().alias("keyed_share"),
            pl.col("linked_bits").mean().alias("mean_linked_bits"),
        )
        # That members found by shared keys also ask alike means more than that accounts found by likeness are alike.
        .with_columns(
            pl.when(pl.col("keyed_share") >= 0.5).then("mean_likeness").alias("bound_likeness"),
            pl.when(pl.col("keyed_share") < 0.5).then("mean_likeness").alias("stranger_likeness"),
        )
        .with_columns(pl.col(pl.Float64).round_sig_figs(9))  # means in parallel differ in their last digits
    )
    return group_days.join(summary, on="group_id", how="left", maintain_order="left")


def member_columns(members: pl.DataFrame, groups: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """What tells a member of an operation from a stranger swept in: terms.MEMBER_TERMS beside ``members``.

    ``groups``: group_columns of the day; ``own``: account_id, own_bits (today's, of harvest).
    """
    sure = pl.col("belonging").clip(1e-4, 1 - 1e-4)
    return (
        members.join(own, on="account_id", how="left", maintain_order="left")
        .join(
            groups.select("group_id", "mean_likeness", "mean_own_bits"),
            on="group_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            (sure / (1 - sure)).log(2.0).alias("belonging_bits"),
            (pl.col("bond") == "keys").alias("keyed"),
            (pl.col("likeness") / (pl.col("mean_likeness") + 1e-3)).alias("likeness_ratio"),
            pl.col("own_bits").alias("member_own_bits"),
            (pl.col("own_bits") - pl.col("mean_own_bits")).alias("member_own_excess_bits"),
        )
        .with_columns(pl.col(pl.Float64).round_sig_figs(9))
    )


def parts_of(
    model: Additive, frame: pl.DataFrame, *, subject_type: str, key: str, n: str | None, least: float = 0.05
) -> pl.DataFrame:
    """What each term added, one row a subject and term whose part is at least ``least`` bits either way."""
    columns = columns_of(frame)
    made = model.parts(columns, len(frame))
    rows, terms = np.nonzero(np.abs(made) >= least)
    names = np.array([t.name for t in model.terms], dtype=object)
    unmeasured = np.full(len(frame), np.nan)
    value = np.column_stack([columns.get(t, unmeasured) for t in ("", *model.names)])[:, 1:]
    counts = frame[n].cast(pl.Int64).to_numpy() if n else np.zeros(len(frame), np.int64)
    return pl.DataFrame(
        {
            "subject_type": [subject_type] * len(rows),
            "subject_id": frame[key].gather(rows) if len(rows) else pl.Series([], dtype=pl.String),
            "part": pl.Series(names[terms].tolist(), dtype=pl.String),
            "value": pl.Series(value[rows, terms], dtype=pl.Float64),
            "bits": pl.Series(made[rows, terms], dtype=pl.Float64),
            "n": pl.Series(counts[rows], dtype=pl.Int64),
        },
        schema_overrides={"subject_type": pl.String},
    )


def decide(
    detector: Detector,
    *,
    day: date,
    config: Config,
    account_days: pl.DataFrame,
    group_days: pl.DataFrame,
    members: pl.DataFrame,
    previous_groups: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    facts: pl.DataFrame,
    merged: Mapping[str, str],
) -> Day:
    """Score one day and fold it into what was known.

    Parameters
    ----------
    account_days, group_days : today's measurements.
    members : every group's members so far (identity.MEMBERS and ``evidence_bits``).
    previous_groups, previous_accounts : yesterday's state tables (without ``day``).
    facts : account_id, org_id, program (NULL where not known).
    merged : groups that went into another today.
    """
    columns, n = columns_of(account_days), len(account_days)
    account_model, group_model = detector.fitting(columns)
    harvest, lone = account_model.bits(columns, n), detector.lone.bits(columns, n)
    own_bits = scoring.own_bits(harvest, lone)
    alone = lone >= own_bits
    own = pl.DataFrame(
        {
            "account_id": account_days["account_id"],
            "own_bits": own_bits,
            "own_kind": pl.Series(_own_kinds(detector, columns, alone), dtype=pl.String),
            "n_requests": account_days["n_requests"].cast(pl.Int64),
        }
    )
    bond = members.select(
        "group_id",
        "account_id",
        "bond",
        "strength_bits",
        "firm",
        "belonging",
        "likeness",
        "linked_bits",
        "evidence_bits",
        pl.col("first_day").alias("joined"),
    )
    # Of a member it matters how much it looks like one of a harvest, undoubted.
    undoubted = own.select("account_id", pl.Series("own_bits", harvest))
    measured = group_columns(group_days, bond, undoubted)
    sure = score_frame(detector.member, member_columns(bond, measured, undoubted))
    bond = bond.with_columns(pl.Series("belonging", probability(sure)))
    group_bits = pl.DataFrame(
        {"group_id": measured["group_id"], "group_bits": score_frame(group_model, measured)}
    )
    exempt = _exempt(facts, config, day)
    worst = _worst(group_bits, previous_groups)
    charged = _charged(worst, own, members, config).filter(~pl.col("account_id").is_in(list(exempt)))
    limit = _limit(worst, charged, n, config)
    kind_of = _group_kinds(members, own)
    members = members.with_columns(_doubtful(bond))
    groups = _fold_groups(
        group_bits, previous_groups, members, kind_of, own, merged, exempt, limit, day, config
    )
    accounts = _fold_accounts(
        own,
        previous_accounts,
        bond,
        _lending(groups, group_bits),
        exempt,
        charged["account_id"],
        limit,
        day,
        config,
    )
    flagged = accounts.filter(pl.col("own_score") >= config.watch_floor)["account_id"]
    parts = pl.concat(
        [
            parts_of(group_model, measured, subject_type="group", key="group_id", n=None),
            *(
                _account_parts(model, account_days, flagged, which, doubt)
                for model, which, doubt in (
                    (account_model, ~alone, own_bits - harvest),
                    (detector.lone, alone, np.zeros(n)),
                )
            ),
        ]
    ).sort("subject_type", "subject_id", "bits", "part", descending=[False, False, True, False])
    return _kept(
        Day(groups, accounts, parts, _without_bystanders(members, groups), limit),
        frozenset(previous_groups["group_id"]),
    )


def _kept(day: Day, known: frozenset[str]) -> Day:
    """The day without candidates of likeness that nobody needs to look at; ``known``: groups kept before."""
    size = day.members.group_by("group_id").agg(
        pl.len().cast(pl.Int64).alias("n_members"), (pl.col("bond") == "keys").any().alias("keyed")
    )
    groups = day.groups.join(size, on="group_id", how="left", maintain_order="left").with_columns(
        pl.col("n_members").fill_null(0).alias("n_accounts")
    )
    # Without members left a group is one that merged, or whose members were all let go: it stays on record.
    passing = (
        (pl.col("verdict") == "clear") & ~pl.col("keyed") & ~pl.col("group_id").is_in(list(known))
    ).fill_null(False)
    gone = groups.filter(passing)["group_id"].implode()
    members = day.members.filter(~pl.col("group_id").is_in(gone))
    of_members = pl.col("account_id").is_in(members["account_id"].implode())
    return Day(
        groups.filter(~passing).drop("n_members", "keyed"),
        day.accounts.with_columns(pl.when(of_members).then("group_id").alias("group_id")),
        day.parts.filter((pl.col("subject_type") != "group") | ~pl.col("subject_id").is_in(gone)),
        members,
        day.threshold,
    )


def _doubtful(bond: pl.DataFrame) -> pl.Series:
    """Which members are likelier swept in than of the operation, or cannot be shown to be of it.

    Members of whom the window holds nothing any more stand on what was known of them.
    """
    unsure, bare = pl.col("belonging") < LEAST_SURE, pl.col("evidence_bits") < LEAST_EVIDENCE
    return bond.select((unsure | bare.fill_null(False)).alias("doubtful")).to_series()


def _without_bystanders(members: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Members without the ``doubtful`` ones of groups worth a look; other groups as they are."""
    shown = pl.col("group_id").is_in(groups.filter(pl.col("verdict") != "clear")["group_id"].implode())
    return members.filter(~(shown & pl.col("doubtful"))).drop("doubtful")


def _own_kinds(detector: Detector, columns: dict[str, Floats], alone: npt.NDArray[np.bool_]) -> list[str]:
    """The likeliest kind of each account: of those one account commits alone where its own score is of them."""
    found = np.empty(len(alone), dtype=object)
    for which, kinds, default in (
        (alone, detector.lone_kinds, "other"),
        (~alone, detector.kinds, "distillation"),
    ):
        some = {name: values[which] for name, values in columns.items()}
        found[which] = likeliest_kind(kinds, some, int(which.sum()), default=default)
    return found.tolist()


def _account_parts(
    model: Additive,
    account_days: pl.DataFrame,
    flagged: pl.Series,
    which: npt.NDArray[np.bool_],
    doubt: Floats,
) -> pl.DataFrame:
    """Parts of flagged accounts; what is taken off for standing alone is a part like another."""
    some = account_days.with_columns(pl.Series("doubt", doubt)).filter(
        pl.Series(which) & pl.col("account_id").is_in(flagged.implode())
    )
    made = parts_of(model, some, subject_type="account", key="account_id", n="n_requests")
    taken = some.filter(pl.col("doubt") < 0).select(
        pl.lit("account").alias("subject_type"),
        pl.col("account_id").alias("subject_id"),
        pl.lit("alone").alias("part"),
        pl.lit(None, pl.Float64).alias("value"),
        pl.col("doubt").alias("bits"),
        pl.col("n_requests").cast(pl.Int64).alias("n"),
    )
    return pl.concat([made, taken.select(made.columns)])


def _exempt(facts: pl.DataFrame, config: Config, day: date) -> frozenset[str]:
    accounts, orgs = config.allowed(day)
    hit = facts.filter(
        pl.col("account_id").is_in(list(accounts))
        | pl.col("org_id").is_in(list(orgs))
        | pl.col("program").str.to_lowercase().is_in(list(config.partner_programs))
    )
    return frozenset(hit["account_id"]) | accounts


def _worst(today: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    """Groups measured today with the worst score of their lives: group_id, group_bits."""
    return today.join(previous.select("group_id", "score_bits"), on="group_id", how="left").select(
        "group_id", pl.max_horizontal("group_bits", "score_bits").alias("group_bits")
    )


def _charged(
    group_bits: pl.DataFrame, own: pl.DataFrame, members: pl.DataFrame, config: Config
) -> pl.DataFrame:
    """Rows of ``own`` of accounts that stand for themselves: members of a group that may itself alert do not."""
    suspect = group_bits.filter(
        pl.Series(probability(group_bits["group_bits"].to_numpy()) >= config.alert_floor)
    )
    return own.join(members.join(suspect, on="group_id", how="semi"), on="account_id", how="anti")


def _limit(group_bits: pl.DataFrame, charged: pl.DataFrame, n: int, config: Config) -> float:
    """Probability an alert needs today: the budget of ``n`` accounts is spent over groups and accounts together."""
    bits = np.r_[group_bits["group_bits"].to_numpy(), charged["own_bits"].to_numpy()]
    return threshold(probability(bits), budget=config.alert_budget * n / 10_000, floor=config.alert_floor)


def _group_kinds(members: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Each group's kind: that of the most suspicious half of its members, by majority."""
    joined = members.join(own, on="account_id")
    half = joined.filter(pl.col("own_bits") >= pl.col("own_bits").median().over("group_id"))
    counted = half.group_by("group_id", "own_kind").len()
    return (
        counted.sort(["group_id", "len", "own_kind"], descending=[False, True, False])
        .group_by("group_id", maintain_order=True)
        .first()
        .select("group_id", pl.col("own_kind").alias("kind"))
    )


def _verdict(bits: pl.Expr, exempt: pl.Expr, limit: float | pl.Expr, watch: float) -> pl.Expr:
    p = bits.map_batches(lambda s: pl.Series(probability(s.to_numpy())), return_dtype=pl.Float64)
    raised = pl.when(exempt & (p >= watch)).then(pl.lit("watch")).when(p >= limit).then(pl.lit("alert"))
    return raised.when(p >= watch).then(pl.lit("watch")).otherwise(pl.lit("clear"))


def _worse(now: pl.Expr, before: pl.Expr) -> pl.Expr:
    def rank(e: pl.Expr) -> pl.Expr:
        return e.replace_strict(_RANK, default=-1, return_dtype=pl.Int8)

    return pl.when(rank(now) >= rank(before)).then(now).otherwise(before)


def _fold_groups(
    today: pl.DataFrame,
    previous: pl.DataFrame,
    members: pl.DataFrame,
    kinds: pl.DataFrame,
    own: pl.DataFrame,
    merged: Mapping[str, str],
    exempt: frozenset[str],
    limit: float,
    day: date,
    config: Config,
) -> pl.DataFrame:
    size = members.group_by("group_id").agg(
        pl.len().cast(pl.Int64).alias("n_accounts"),
        pl.col("first_day").min().alias("first_seen"),
        (
            (pl.col("account_id").is_in(list(exempt)).mean() >= 0.5)
            # What could all have been planted carries no group alone.
            | ~(pl.col("firm") | (pl.col("bond") == "likeness")).any()
            # Nor does one of which every single member may have been swept in.
            | pl.col("doubtful").all()
        ).alias("exempt"),
    )
    busy = (
        members.join(own, on="account_id").group_by("group_id").agg(pl.col("n_requests").sum().alias("busy"))
    )
    names = pl.concat([previous.select("group_id"), size.select("group_id")]).unique().sort("group_id")
    table = (
        names.join(previous, on="group_id", how="left")
        .drop("n_accounts")
        .join(size, on="group_id", how="left")
        .join(busy, on="group_id", how="left")
        .join(today, on="group_id", how="left")
        .join(kinds.rename({"kind": "kind_today"}), on="group_id", how="left")
    )
    rises = pl.col("group_bits").is_not_null() & (
        pl.col("score_bits").is_null() | (pl.col("group_bits") > pl.col("score_bits"))
    )
    now = (
        pl.when(pl.col("group_bits").is_null())
        .then(None)
        .otherwise(
            _verdict(
                # The worst of its life against what today asks, as its members are judged.
                pl.max_horizontal("group_bits", "score_bits").fill_null(-99.0),
                pl.col("exempt").fill_null(False),
                limit,
                config.watch_floor,
            )
        )
    )
    table = table.with_columns(
        pl.when(rises).then("group_bits").otherwise("score_bits").alias("score_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        _worse(now.fill_null("clear"), pl.col("verdict").fill_null("clear")).alias("verdict"),
        pl.when(rises).then(pl.coalesce("kind_today", "kind")).otherwise("kind").alias("kind"),
        pl.col("n_accounts").fill_null(0),
        (pl.col("n_requests").fill_null(0) + pl.col("busy").fill_null(0)).alias("n_requests"),
        pl.coalesce("first_day", "first_seen", pl.lit(day)).alias("first_day"),
        pl.when(pl.col("busy").is_not_null())
        .then(pl.lit(day))
        .otherwise(pl.coalesce("last_day", pl.lit(day)))
        .alias("last_day"),
        pl.col("group_id").replace_strict(dict(merged), default=None, return_dtype=pl.String).alias("into"),
    ).with_columns(pl.coalesce("into", "successor_id").alias("successor_id"))
    p = (
        pl.col("score_bits")
        .fill_null(-99.0)
        .map_batches(lambda s: pl.Series(probability(s.to_numpy())), return_dtype=pl.Float64)
    )
    return table.select(
        "group_id",
        p.alias("score"),
        "verdict",
        pl.col("kind").fill_null("other"),
        pl.when(pl.col("successor_id").is_not_null())
        .then(pl.lit("merged"))
        .when(pl.col("last_day") == day)
        .then(pl.lit("active"))
        .otherwise(pl.lit("silent"))
        .alias("state"),
        "successor_id",
        "n_accounts",
        "n_requests",
        "first_day",
        "last_day",
        "score_day",
        "score_bits",
    ).sort("group_id")


def _both(columns: pl.Series) -> pl.Series:
    """Log2 odds that a group is abusive and the member belongs to it, from the bits of the one and the other."""
    bits = columns.struct.field("group_bits").fill_null(np.nan).to_numpy()
    sure = columns.struct.field("belonging").fill_null(0.0).to_numpy()
    # odds of p * b with p = o / (1 + o): o b / (1 + o (1 - b))
    with np.errstate(over="ignore", divide="ignore"):
        joint = np.log2(np.maximum(sure, 1e-9)) - np.log2(np.exp2(-bits) + 1 - sure)
    return pl.Series(joint).fill_nan(None)


def _lending(groups: pl.DataFrame, today: pl.DataFrame) -> pl.DataFrame:
    """What each group may lend: ``worst_bits`` of its life, of ``worst_day``, and ``today_bits``, with its kind."""
    return groups.join(today.rename({"group_bits": "today_bits"}), on="group_id", how="left").select(
        "group_id",
        "today_bits",
        pl.col("score_bits").alias("worst_bits"),
        pl.col("score_day").alias("worst_day"),
        pl.col("kind").alias("group_kind"),
    )


def _fold_accounts(
    own: pl.DataFrame,
    previous: pl.DataFrame,
    bond: pl.DataFrame,
    lending: pl.DataFrame,
    exempt: frozenset[str],
    charged: pl.Series,
    limit: float,
    day: date,
    config: Config,
) -> pl.DataFrame:
    names = pl.concat([previous.select("account_id"), own.select("account_id"), bond.select("account_id")])
    table = (
        names.unique()
        .sort("account_id")
        .join(previous.drop("group_id", "group_score"), on="account_id", how="left")
        .join(own.rename({"n_requests": "busy"}), on="account_id", how="left")
        .join(bond, on="account_id", how="left")
        .join(lending, on="group_id", how="left")
        # Who joined after the group's worst day was no part of what was so bad: the group as it is with him counts.
        .with_columns(
            pl.when(pl.col("joined") <= pl.col("worst_day"))
            .then("worst_bits")
            .otherwise("today_bits")
            .alias("group_bits")
        )
    )
    # What a group lends a member: that the group is abusive, and that the member belongs to it. A bond that could
    # have been planted, or of which next to nothing can be shown, lends little: the account's own conduct must carry
    # the rest. Likeness is of many prompts of the account's own that nobody else sent.
    shared = pl.struct("group_bits", "belonging").map_batches(_both, return_dtype=pl.Float64)
    table = table.with_columns(shared.alias("group_bits"))
    lent = (
        pl.when(pl.col("group_bits").is_null())
        .then(None)
        .when(
            (pl.col("firm").fill_null(False) | (pl.col("bond") == "likeness"))
            & (pl.col("evidence_bits") >= LEAST_EVIDENCE)
        )
        .then("group_bits")
        .otherwise(pl.min_horizontal("group_bits", pl.col("own_bits").fill_null(-12.0) + PLANTED_BITS))
    )
    table = table.with_columns(lent.alias("lent")).with_columns(
        pl.max_horizontal("own_bits", "lent").alias("bits_today")
    )
    rises = pl.col("bits_today").is_not_null() & (
        pl.col("score_bits").is_null() | (pl.col("bits_today") > pl.col("score_bits"))
    )
    by_group = pl.col("lent").is_not_null() & (pl.col("lent") >= pl.col("own_bits").fill_null(-99.0))

    def as_p(name: str) -> pl.Expr:
        return pl.col(name).map_batches(
            lambda s: pl.Series(probability(s.fill_null(np.nan).to_numpy())).fill_nan(None),
            return_dtype=pl.Float64,
        )

    by_own = pl.col("account_id").is_in(charged.implode()) & (as_p("own_bits") >= limit).fill_null(False)
    now = _verdict(
        pl.col("bits_today").fill_null(-99.0),
        pl.col("account_id").is_in(list(exempt)),
        pl.when(by_own).then(limit).otherwise(max(limit, ACCUSED_FROM)),
        config.watch_floor,
    )
    table = table.with_columns(
        pl.when(rises).then("bits_today").otherwise("score_bits").alias("score_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        _worse(now, pl.col("verdict").fill_null("clear")).alias("verdict"),
        pl.when(rises)
        .then(pl.when(by_group).then("group_kind").otherwise("own_kind"))
        .otherwise("kind")
        .alias("kind"),
        (pl.col("n_requests").fill_null(0) + pl.col("busy").fill_null(0)).alias("n_requests"),
        pl.coalesce("first_day", pl.lit(day)).alias("first_day"),
        pl.when(pl.col("busy").is_not_null())
        .then(pl.lit(day))
        .otherwise(pl.coalesce("last_day", pl.lit(day)))
        .alias("last_day"),
        pl.max_horizontal(as_p("own_bits"), "own_score").alias("own_score"),
        as_p("lent").alias("group_score"),
    )
    return table.select(
        "account_id",
        as_p("score_bits").alias("score"),
        "verdict",
        "group_id",
        pl.col("kind").fill_null("other"),
        "own_score",
        "group_score",
        "score_bits",
        "score_day",
        "first_day",
        "last_day",
        "n_requests",
    ).sort("account_id")
