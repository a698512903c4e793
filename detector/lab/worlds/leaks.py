"""Leak check: no single per-account field of a synthetic world may tell attackers from honest accounts.

A detector trained on a world with such a field learns the simulator. ``leak_check`` reports the AUC of each field. On
evasion levels 2 and 3 a world is rejected if its best field exceeds ``CEILING``. On evasion levels 0 and 1 shared cards
and hosting addresses are meant to show.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.lab.worlds.spec import WorldSpec
from detector.lab.worlds.world import World, make_world

CEILING = 0.85
#: Kinds that the check leaves out: single-account abuse is meant to show in the account alone.
SINGLE_ACCOUNT_KINDS = ("logit_extraction", "key_compromise", "key_sharing")


def _request_fields(requests: pl.DataFrame) -> pl.DataFrame:
    hour = pl.col("ts").dt.hour()
    text = pl.col("prompt")
    share = {
        "large_share": pl.col("model").str.contains("large|reason"),
        "failed_share": pl.col("status") != 200,
        "stream_share": pl.col("stream"),
        "tools_share": pl.col("tool_count") > 0,
        "images_share": pl.col("n_images") > 0,
        "system_share": pl.col("system_prompt").is_not_null(),
        "end_user_share": pl.col("end_user_id").is_not_null(),
        "session_share": pl.col("session_id").is_not_null(),
        "no_temperature_share": pl.col("temperature").is_null(),
        "no_limit_share": pl.col("max_tokens").is_null(),
        "length_share": pl.col("finish_reason") == "length",
        "logprobs_share": pl.col("top_logprobs").is_not_null(),
        "night_share": hour < 6,
        "weekend_share": pl.col("ts").dt.weekday() > 5,
        "ipv6_share": pl.col("source_ip").str.contains(":"),
        "several_share": pl.col("n") > 1,
        "cached_share": pl.col("cached_tokens") > 0,
        "first_turn_share": pl.col("turn") == 1,
        "foreign_text_share": text.str.contains(r"[^\x00-\x{24f}]"),
        "question_mark_share": text.str.ends_with("?"),
        "lines_share": text.str.contains("\n"),
    }
    mean = {
        "output_tokens_mean": pl.col("output_tokens"),
        "input_tokens_mean": pl.col("input_tokens"),
        "temperature_mean": pl.col("temperature"),
        "max_tokens_mean": pl.col("max_tokens"),
        "latency_mean": pl.col("latency_ms"),
        "turn_mean": pl.col("turn"),
        "prompt_chars_mean": text.str.len_chars(),
        "hour_mean": hour,
    }
    distinct = {
        "n_addresses": "source_ip", "n_networks": "asn", "n_countries": "country", "n_clients": "user_agent",
        "n_models": "model", "n_keys": "api_key_id", "n_end_users": "end_user_id",
    }  # fmt: skip
    gap = pl.col("ts").sort().diff().dt.total_milliseconds()
    return requests.group_by("account_id").agg(
        pl.len().alias("n_requests"),
        pl.col("ts").dt.date().n_unique().alias("active_days"),
        pl.col("output_tokens").std().alias("output_tokens_sd"),
        gap.median().alias("gap_median"),
        (gap.std() / gap.mean()).alias("gap_cv"),
        hour.value_counts().struct.field("count").entropy().alias("hour_entropy"),
        (text.n_unique() / pl.len()).alias("distinct_prompt_share"),
        pl.col("model").value_counts().struct.field("count").max().truediv(pl.len()).alias("top_model_share"),
        *(e.mean().alias(name) for name, e in {**share, **mean}.items()),
        *(pl.col(c).n_unique().alias(name) for name, c in distinct.items()),
    )


def _rarity(requests: pl.DataFrame, column: str) -> pl.DataFrame:
    """Mean number of accounts that share the account's values of a column."""
    pairs = requests.select("account_id", column).unique()
    degrees = pairs.group_by(column).agg(pl.len().alias("holders"))
    joined = pairs.join(degrees, on=column, nulls_equal=True)
    return joined.group_by("account_id").agg(pl.col("holders").mean().alias(f"{column}_holders"))


def _account_fields(accounts: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    table = accounts.join(label, on="account_id").with_columns(
        created=pl.col("created_at").dt.epoch("s"),
        created_hour=pl.col("created_at").dt.hour(),
        created_weekday=pl.col("created_at").dt.weekday(),
        verified=pl.col("verified").cast(pl.Int8),
        has_org=pl.col("org_id").is_not_null().cast(pl.Int8),
        has_card=pl.col("payment_fingerprint").is_not_null().cast(pl.Int8),
        fold=pl.col("account_id").hash(1) % 2,
    )
    out = table.select(
        "account_id", "created", "created_hour", "created_weekday", "verified", "has_org", "has_card"
    )
    for column in (
        "payment_fingerprint",
        "payment_bin",
        "email_domain",
        "signup_ip",
        "country",
        "pathway",
        "program",
    ):
        degrees = table.select("account_id", pl.len().over(column).alias(f"{column}_holders"))
        # A value's rate comes from the other half of the accounts, or each account would see its own label.
        rate = table.group_by(column, "fold").agg(pl.col("label").mean().alias("rate"))
        other = rate.with_columns(fold=1 - pl.col("fold").cast(pl.Int8)).with_columns(
            pl.col("fold").cast(pl.UInt64)
        )
        rates = table.join(other, on=[column, "fold"], how="left", nulls_equal=True)
        rates = rates.select(
            "account_id", pl.col("rate").fill_null(table["label"].mean()).alias(f"{column}_rate")
        )
        out = out.join(degrees, on="account_id").join(rates, on="account_id")
    return out


def auc(score: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """Area under the ROC curve. A tie counts half, and a NaN score counts as the median.

    The value is 0.5 where a class is empty.
    """
    if label.all() or not label.any():
        return 0.5
    filled = np.where(np.isnan(score), np.nanmedian(score) if (~np.isnan(score)).any() else 0.0, score)
    _, back, size = np.unique(filled, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[back]
    positive = int(label.sum())
    return float((rank[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive)))


def account_fields(world: World) -> pl.DataFrame:
    """Every simple field of every account with traffic, one row for each account."""
    label = world.truth.select("account_id", "label")
    table = _request_fields(world.requests)
    for column in ("source_ip", "user_agent", "ja4", "model"):
        table = table.join(_rarity(world.requests, column), on="account_id")
    if len(world.accounts):
        table = table.join(_account_fields(world.accounts, label), on="account_id", how="left")
    return table.sort("account_id")


def leak_check(world: World) -> pl.DataFrame:
    """``field`` and ``auc`` (in either direction, so never below 0.5), worst first, over accounts with traffic."""
    truth = world.truth.filter(~pl.col("kind").is_in(SINGLE_ACCOUNT_KINDS)).select("account_id", "label")
    table = account_fields(world).join(truth, on="account_id", how="inner")
    label = table["label"].to_numpy() == 1
    rows = []
    for name in table.columns:
        if name in ("account_id", "label"):
            continue
        value = auc(table[name].cast(pl.Float64).to_numpy(), label)
        rows.append((name, max(value, 1 - value)))
    return pl.DataFrame(rows, schema={"field": pl.String, "auc": pl.Float64}, orient="row").sort(
        ["auc", "field"], descending=[True, False]
    )


def clean_world(spec: WorldSpec, *, tries: int = 5) -> World:
    """A world without leaks. On evasion levels 2 and 3, seeds are tried until one passes the check.

    Raises
    ------
    ValueError : none of ``tries`` seeds passed.
    """
    for k in range(tries):
        world = make_world(replace(spec, seed=spec.seed + 7919 * k))
        if spec.evasion_level < 2 or not spec.attacker_share or leak_check(world)["auc"][0] <= CEILING:
            return world
    raise ValueError(f"no world without a leaking field in {tries} tries from seed {spec.seed}")
