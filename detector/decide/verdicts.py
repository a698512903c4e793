"""From measurements to verdicts: scores of groups and accounts for one day, and the worst of their lives.

Verdicts come from calibrated probabilities and the operator's alert budget alone. Contracted resellers,
exempted accounts and groups that only copyable evidence holds together are ``watch`` at most, whatever they
score; their score is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.config import ACCUSED_FROM, Config
from detector.decide import circles, kin, scoring
from detector.decide.scoring import Detector, Variant, likeliest_kind, probability, threshold
from detector.decide.standing import LEAST_EVIDENCE, LENT_ABOVE, company, lending, standing
from detector.decide.summary import columns_of, group_columns, member_columns, parts_of, score_frame

Floats = npt.NDArray[np.float64]

#: A member of a group worth a look that is less likely of the operation than this is let go (0..1).
LEAST_SURE = 0.5
#: The alert budget is kept over so many days: what one night leaves, another may spend. A small site's budget of one
#: night is less than the doubt that the surest group leaves.
BUDGET_DAYS = 7
_RANK = {"clear": 0, "watch": 1, "alert": 2}


@dataclass(frozen=True)
class Day:
    """What one day's scoring answers; tables in the columns of ``groups``, ``account_scores``, ``score_parts``.

    ``members`` are those of ``groups``: candidates found by likeness alone are kept from the day they are worth
    a look, since every class and every tool's users form one. ``merged``: groups that went into another today, by
    the members they share or by the circle they lie in.
    """

    groups: pl.DataFrame
    accounts: pl.DataFrame
    parts: pl.DataFrame
    members: pl.DataFrame
    threshold: float
    merged: Mapping[str, str]


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
    exempt: Collection[str],
    merged: Mapping[str, str],
    shared: Mapping[str, pl.DataFrame] | None = None,
    previous_members: pl.DataFrame | None = None,
) -> Day:
    """Score one day and fold it into what was known.

    Parameters
    ----------
    account_days, group_days : today's measurements.
    members : every group's members so far (identity.MEMBERS and ``evidence_bits``).
    previous_groups, previous_accounts : yesterday's state tables (without ``day``).
    exempt : accounts that may be ``watch`` at most (``exemptions``).
    merged : groups that went into another today.
    shared : what accounts share in the window (``pipeline.Observe``); None: company is not measured.
    previous_members : yesterday's ``group_members``; None: nobody was a member by company.
    """
    columns, n = columns_of(account_days), len(account_days)
    models = detector.fitting(columns)
    harvest, lone = models.account.bits(columns, n), detector.lone.bits(columns, n)
    own_bits = scoring.own_bits(harvest, lone)
    alone = lone >= own_bits
    own = pl.DataFrame(
        {
            "account_id": account_days["account_id"],
            "own_bits": own_bits,
            "harvest_bits": harvest,
            "lone_bits": lone,
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
        {"group_id": measured["group_id"], "group_bits": score_frame(models.group, measured)}
    )
    exempt = frozenset(exempt)
    lends = lending(group_bits, previous_groups, day)
    shares = None if shared is None else kin.prepare(shared)
    known = company(models, standing(own, previous_accounts, bond, lends), shares)
    own = own.join(
        known.select("account_id", "alone_bits"), on="account_id", how="left", maintain_order="left"
    )
    circle = _circles(shares, known, members, previous_groups, previous_accounts, merged, day)
    members = circles.overlaid(members.with_columns(_doubtful(bond)), circle, known, previous_members, day)
    merged = {**merged, **circle.absorbed}
    today = _with_company(group_bits, members, known, circle)
    worst = today.join(previous_groups.select("group_id", "score_bits"), on="group_id", how="left").select(
        "group_id", pl.max_horizontal("group_bits", "score_bits").alias("group_bits")
    )
    charged = _charged(worst, own, members, config).filter(~pl.col("account_id").is_in(list(exempt)))
    limit = _limit(
        _recent(
            worst, previous_groups.filter(pl.col("successor_id").is_null()), "group_id", "group_bits", day
        ),
        _recent(
            charged, previous_accounts.filter(pl.col("group_id").is_null()), "account_id", "alone_bits", day
        ),
        n,
        config,
    )
    kind_of = _group_kinds(members, own)
    groups = _fold_groups(
        today, previous_groups, members, kind_of, own, lends, merged, exempt, limit, day, config
    )
    shown = members.select("account_id", "group_id")
    known = known.drop("group_id").join(shown, on="account_id", how="left", maintain_order="left")
    accounts = _fold_accounts(
        known, previous_accounts, groups, exempt, charged["account_id"], limit, day, config
    )
    groups = _spared(groups, accounts, members.filter(~pl.col("doubtful")), exempt)
    parts = pl.concat(
        [
            _group_parts(models, measured, today.join(group_bits, on="group_id", how="left", suffix="_own")),
            *_account_parts(models, detector, account_days, own, known, alone, config),
        ]
    ).sort("subject_type", "subject_id", "bits", "part", descending=[False, False, True, False])
    return _kept(
        Day(groups, accounts, parts, _without_bystanders(members, groups), limit, merged),
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
        day.merged,
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


def _circles(
    shares: kin.Shares | None,
    known: pl.DataFrame,
    members: pl.DataFrame,
    previous_groups: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    merged: Mapping[str, str],
    day: date,
) -> circles.Circles:
    """Today's circles of suspects, by the worst that is known of each, with the names they go by."""
    found = pl.DataFrame(schema={"account_id": pl.String, "circle": pl.Int64})
    if shares is not None:
        worst = known.join(
            previous_accounts.select("account_id", "score_bits"), on="account_id", how="left"
        ).select("account_id", pl.max_horizontal("bits_today", "score_bits").alias("bits"))
        label = circles.find(shares, shares.of(worst["account_id"], worst["bits"].to_numpy(), -99.0))
        found = pl.DataFrame({"account_id": shares.accounts, "circle": label}).filter(pl.col("circle") >= 0)
    gone = previous_groups.filter(pl.col("successor_id").is_not_null())["group_id"].to_list()
    return circles.name(found, members, previous_accounts, frozenset((*gone, *merged)), day)


def _with_company(
    group_bits: pl.DataFrame, members: pl.DataFrame, known: pl.DataFrame, circle: circles.Circles
) -> pl.DataFrame:
    """Bits of each group today: what half of its members' company says, or its own as far as that bears it out.

    A group that went into another's circle has none any more.
    """
    half = (
        members.filter(~pl.col("doubtful"))
        .select("group_id", "account_id")
        .join(known.filter(pl.col("busy").is_not_null()).select("account_id", "kin_bits"), on="account_id")
        .group_by("group_id")
        .agg(pl.col("kin_bits").median().alias("half"))
    )
    return (
        group_bits.join(half, on="group_id", how="full", coalesce=True)
        .filter(~pl.col("group_id").is_in(list(circle.absorbed)))
        .select(
            "group_id",
            pl.when(pl.col("group_bits").is_null())
            .then("half")
            .otherwise(
                pl.max_horizontal(pl.min_horizontal("group_bits", pl.col("half") + LENT_ABOVE), "half")
            )
            .alias("group_bits"),
        )
        .drop_nulls()
        .sort("group_id")
    )


def _group_parts(models: Variant, measured: pl.DataFrame, today: pl.DataFrame) -> pl.DataFrame:
    """Parts of every group measured; what its members' company adds or takes away is a part like another."""
    made = parts_of(models.group, measured, subject_type="group", key="group_id", n=None)
    moved = today.with_columns(pl.col("group_bits_own").fill_null(0.0)).filter(
        pl.col("group_bits") != pl.col("group_bits_own")
    )
    return pl.concat(
        [
            made,
            _part(
                "group",
                "group_id",
                "members_company",
                moved,
                pl.col("group_bits") - pl.col("group_bits_own"),
            ),
        ]
    )


def _part(subject_type: str, key: str, name: str, rows: pl.DataFrame, bits: pl.Expr) -> pl.DataFrame:
    """One part that no model's term made, a row a subject."""
    return rows.select(
        pl.lit(subject_type).alias("subject_type"),
        pl.col(key).alias("subject_id"),
        pl.lit(name).alias("part"),
        pl.lit(None, pl.Float64).alias("value"),
        bits.alias("bits"),
        (pl.col("busy").fill_null(0) if "busy" in rows.columns else pl.lit(0)).cast(pl.Int64).alias("n"),
    )


def _account_parts(
    models: Variant,
    detector: Detector,
    account_days: pl.DataFrame,
    own: pl.DataFrame,
    known: pl.DataFrame,
    alone: npt.NDArray[np.bool_],
    config: Config,
) -> list[pl.DataFrame]:
    """Parts of the accounts worth a look on their own account: of the model that speaks loudest of each.

    ``alone``: which of ``account_days`` say more of abuse in itself than of a harvest.
    """
    seen = known.filter(_p(pl.col("alone_bits")) >= config.watch_floor)
    by_company = seen.filter(pl.col("kin_bits") >= pl.col("lone_bits").fill_null(-np.inf))
    by_conduct = seen.join(by_company, on="account_id", how="anti")
    found = [
        parts_of(models.kin, by_company, subject_type="account", key="account_id", n="busy"),
        _part(
            "account",
            "account_id",
            "planted",
            by_company.filter(pl.col("planted_bits") < 0),
            pl.col("planted_bits"),
        ),
        _part(
            "account",
            "account_id",
            "group",
            seen.filter(pl.col("bits_today") > pl.col("alone_bits")),
            pl.col("bits_today") - pl.col("alone_bits"),
        ),
    ]
    flagged = account_days["account_id"].is_in(by_conduct["account_id"].implode()).to_numpy()
    doubt = own.filter(pl.Series(flagged & ~alone)).select(
        "account_id",
        pl.col("n_requests").alias("busy"),
        (pl.col("own_bits") - pl.col("harvest_bits")).alias("doubt"),
    )
    for model, which in ((models.account, flagged & ~alone), (detector.lone, flagged & alone)):
        some = account_days.filter(pl.Series(which))
        found.append(parts_of(model, some, subject_type="account", key="account_id", n="n_requests"))
    found.append(_part("account", "account_id", "alone", doubt.filter(pl.col("doubt") < 0), pl.col("doubt")))
    return found


def _charged(
    group_bits: pl.DataFrame, own: pl.DataFrame, members: pl.DataFrame, config: Config
) -> pl.DataFrame:
    """Rows of ``own`` of accounts that stand for themselves: members of a group that may itself alert do not."""
    suspect = group_bits.filter(
        pl.Series(probability(group_bits["group_bits"].to_numpy()) >= config.alert_floor)
    )
    return own.join(members.join(suspect, on="group_id", how="semi"), on="account_id", how="anti")


def _recent(today: pl.DataFrame, previous: pl.DataFrame, key: str, bits: str, day: date) -> Floats:
    """Bits of the subjects that the budget of the last ``BUDGET_DAYS`` is charged for.

    Those of ``today`` and those alerted in that time, at the worst of the two; who was alerted before and has not
    grown worse since is paid for.
    """
    alerted = previous.filter(pl.col("verdict") == "alert").select(key, "score_day", "score_bits")
    fresh = pl.col("score_day") > day - timedelta(days=BUDGET_DAYS)
    both = today.select(key, bits).join(alerted, on=key, how="full", coalesce=True)
    due = both.filter(pl.col("score_day").is_null() | fresh | (pl.col(bits) > pl.col("score_bits")))
    found: Floats = due.select(pl.max_horizontal(bits, "score_bits")).to_series().to_numpy()
    return found


def _limit(groups: Floats, accounts: Floats, n: int, config: Config) -> float:
    """Probability an alert needs today: the budget of ``n`` accounts is spent over groups and accounts together."""
    budget = BUDGET_DAYS * config.alert_budget * n / 10_000
    return threshold(probability(np.r_[groups, accounts]), budget=budget, floor=config.alert_floor)


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


def _p(bits: pl.Expr) -> pl.Expr:
    """Probability of log-odds; NULL of NULL."""
    return bits.map_batches(
        lambda s: pl.Series(probability(s.cast(pl.Float64).fill_null(np.nan).to_numpy())).fill_nan(None),
        return_dtype=pl.Float64,
    )


def _verdict(bits: pl.Expr, exempt: pl.Expr, limit: float | pl.Expr, watch: float) -> pl.Expr:
    p = _p(bits)
    raised = pl.when(exempt & (p >= watch)).then(pl.lit("watch")).when(p >= limit).then(pl.lit("alert"))
    return raised.when(p >= watch).then(pl.lit("watch")).otherwise(pl.lit("clear"))


def _worse(now: pl.Expr, before: pl.Expr) -> pl.Expr:
    def rank(e: pl.Expr) -> pl.Expr:
        return e.replace_strict(_RANK, default=-1, return_dtype=pl.Int8)

    return pl.when(rank(now) >= rank(before)).then(now).otherwise(before)


def _unspared() -> pl.Expr:
    """The verdict stored before, without exemptions; older releases stored one verdict alone, and NULL here."""
    return pl.coalesce("peak_verdict", "verdict")


def _capped(exempt: pl.Expr) -> pl.Expr:
    """``peak_verdict``, of exempted subjects ``watch`` at most."""
    alert = pl.col("peak_verdict") == "alert"
    return pl.when(exempt & alert).then(pl.lit("watch")).otherwise("peak_verdict")


def _spared(
    groups: pl.DataFrame, accounts: pl.DataFrame, members: pl.DataFrame, exempt: frozenset[str]
) -> pl.DataFrame:
    """Groups, with ``watch`` at most for those of whose accused members every one is exempted."""
    accused = members.select("account_id", "group_id").join(
        accounts.filter(pl.col("peak_verdict") == "alert").select("account_id"), on="account_id", how="semi"
    )
    whole = (
        accused.group_by("group_id")
        .agg(pl.col("account_id").is_in(list(exempt)).all().alias("spared"))
        .filter("spared")["group_id"]
    )
    return groups.with_columns(_capped(pl.col("group_id").is_in(whole.implode())).alias("verdict"))


def _fold_groups(
    today: pl.DataFrame,
    previous: pl.DataFrame,
    members: pl.DataFrame,
    kinds: pl.DataFrame,
    own: pl.DataFrame,
    lends: pl.DataFrame,
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
        .drop("n_accounts", "own_bits", "own_day")
        .join(
            lends.select(
                "group_id", pl.col("worst_bits").alias("own_bits"), pl.col("worst_day").alias("own_day")
            ),
            on="group_id",
            how="left",
        )
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
                max(limit, ACCUSED_FROM),
                config.watch_floor,
            )
        )
    )
    table = table.with_columns(
        pl.when(rises).then("group_bits").otherwise("score_bits").alias("score_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        _worse(now.fill_null("clear"), _unspared().fill_null("clear")).alias("peak_verdict"),
        pl.when(rises).then(pl.coalesce("kind_today", "kind")).otherwise("kind").alias("kind"),
        pl.col("n_accounts").fill_null(0),
        (pl.col("n_requests").fill_null(0) + pl.col("busy").fill_null(0)).alias("n_requests"),
        pl.coalesce("first_day", "first_seen", pl.lit(day)).alias("first_day"),
        pl.when(pl.col("busy").is_not_null())
        .then(pl.lit(day))
        .otherwise(pl.coalesce("last_day", pl.lit(day)))
        .alias("last_day"),
        pl.col("group_id").replace_strict(dict(merged), default=None, return_dtype=pl.String).alias("into"),
    ).with_columns(
        # Who went into a circle that is no more has members of its own again.
        pl.when(pl.col("first_seen").is_null() | pl.col("into").is_not_null())
        .then(pl.coalesce("into", "successor_id"))
        .alias("successor_id")
    )
    return table.select(
        "group_id",
        _p(pl.col("score_bits").fill_null(-99.0)).alias("score"),
        pl.col("peak_verdict").alias("verdict"),
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
        "own_bits",
        "own_day",
        "peak_verdict",
    ).sort("group_id")


def _fold_accounts(
    known: pl.DataFrame,
    previous: pl.DataFrame,
    groups: pl.DataFrame,
    exempt: frozenset[str],
    charged: pl.Series,
    limit: float,
    day: date,
    config: Config,
) -> pl.DataFrame:
    table = known.join(
        previous.drop("group_id", "group_score", "harvest_bits"),
        on="account_id",
        how="left",
        maintain_order="left",
    ).join(
        groups.select("group_id", pl.col("kind").alias("group_kind")),
        on="group_id",
        how="left",
        maintain_order="left",
    )
    rises = pl.col("bits_today").is_not_null() & (
        pl.col("score_bits").is_null() | (pl.col("bits_today") > pl.col("score_bits"))
    )
    by_group = (pl.col("lent_bits") >= pl.col("own_bits").fill_null(-99.0)).fill_null(False)

    # What an account does alone is judged by the budget; what others bring to its score has to make it surer.
    conduct = pl.when(pl.col("kin_bits").is_null()).then("own_bits").otherwise("lone_bits")
    by_own = pl.col("account_id").is_in(charged.implode()) & (_p(conduct) >= limit).fill_null(False)
    now = _verdict(
        pl.col("bits_today").fill_null(-99.0),
        pl.lit(False),
        pl.when(by_own).then(limit).otherwise(max(limit, ACCUSED_FROM)),
        config.watch_floor,
    )
    table = table.with_columns(
        pl.when(rises).then("bits_today").otherwise("score_bits").alias("score_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        _worse(now, _unspared().fill_null("clear")).alias("peak_verdict"),
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
        pl.max_horizontal(_p(pl.col("own_bits")), "own_score").alias("own_score"),
        pl.max_horizontal(_p(pl.col("kin_bits")), "kin_score").alias("kin_score"),
        _p(pl.col("lent_bits")).alias("group_score"),
    ).with_columns(_capped(pl.col("account_id").is_in(list(exempt))).alias("verdict"))
    return table.select(
        "account_id",
        _p(pl.col("score_bits")).alias("score"),
        "verdict",
        "group_id",
        pl.col("kind").fill_null("other"),
        "own_score",
        "group_score",
        "kin_score",
        "harvest_bits",
        "score_bits",
        "score_day",
        "first_day",
        "last_day",
        "n_requests",
        "peak_verdict",
    ).sort("account_id")
