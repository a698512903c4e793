"""Drawn requests become canonical rows: addresses, clients, models, parameters, outcomes, names.

Honest and abusive traffic take the same way. ``Rows.over`` holds the values that a campaign sets itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.lab.worlds import market
from detector.lab.worlds.network import CLIENTS, COUNTRIES, Network
from detector.lab.worlds.persona import Bools, Floats, Habit, Ints, People, Rng, Rows

REQUEST_SCHEMA: dict[str, Any] = {
    "request_id": pl.String, "ts": pl.Datetime("us"), "account_id": pl.String, "model": pl.String,
    "api_key_id": pl.String, "org_id": pl.String, "end_user_id": pl.String, "source_ip": pl.String,
    "asn": pl.Int64, "country": pl.String, "user_agent": pl.String, "ja4": pl.String, "pathway": pl.String,
    "operation": pl.String, "prompt": pl.String, "system_prompt": pl.String, "turn": pl.Int32,
    "session_id": pl.String, "input_tokens": pl.Int64, "output_tokens": pl.Int64, "cached_tokens": pl.Int64,
    "reasoning_tokens": pl.Int64, "latency_ms": pl.Float64, "ttft_ms": pl.Float64, "status": pl.Int32,
    "finish_reason": pl.String, "stream": pl.Boolean, "temperature": pl.Float64, "max_tokens": pl.Int64,
    "n": pl.Int32, "top_logprobs": pl.Int32, "logit_bias": pl.Boolean, "tool_count": pl.Int32,
    "tool_names": pl.List(pl.String), "n_images": pl.Int32,
}  # fmt: skip
#: Outcomes of failed requests: rate limit, server errors, bad request.
_FAILURES = (429, 500, 503, 529, 400)
_FAILURE_WEIGHTS = (0.5, 0.15, 0.1, 0.15, 0.1)
_LIMITS = np.array([limit or 0 for limit in market.LIMITS])
_LARGE = np.array([tier == "large" for _, tier, _ in market.MODELS] + [True])
_REASONS = np.array([name == "meridian-reason" for name in market.MODEL_NAMES])
_AGENTS = [c.user_agent for c in CLIENTS]
_JA4 = [c.ja4 for c in CLIENTS]


@dataclass
class Counter:
    """Numbers already used in a world, and the mask that makes their names opaque."""

    mask: int
    requests: int = 0
    sessions: int = 0
    keys: list[int] = field(default_factory=list)  # API keys of each account


def dress(
    rng: Rng, network: Network, people: People, habit: Habit, rows: Rows, counter: Counter, *, harvest: bool
) -> pl.DataFrame:
    """One frame of requests: canonical columns, ``_us`` (time), ``_account`` (number), ``_harvest``."""
    rows = _with_retries(rng, rows)
    n, who, over = len(rows), rows.who, rows.over
    address = over["address"] if "address" in over else _addresses(rng, network, people, rows)
    client = over.get("client", people.clients[who, (rng.random(n) > people.usual_client[who]).astype(int)])
    model = over["model"] if "model" in over else _models(rng, people, rows)
    tools = _set(over, "tools", np.where(rng.random(n) < habit.tools, people.tools[who], 0))
    failed: Bools = over["failed"] | (rng.random(n) < 0.006)
    account = people.account[who]
    keeps = (account * 7919 % 100) < habit.sessions * 100
    listed = np.where(rng.random(n) < habit.logprobs, rng.choice([1, 3, 5], size=n), 0)
    logprobs = _set(over, "logprobs", listed)
    key = (
        account * 4
        + np.where(rng.random(n) < 0.9, 0, rng.integers(4, size=n)) % np.array(counter.keys)[account]
    )
    drawn = np.where(rng.random(n) < 0.9, people.temperature[who], market.temperatures(rng, habit.use, n))
    columns: dict[str, Any] = {
        "request_id": names("req_", np.arange(counter.requests, counter.requests + n), counter.mask),
        "_us": (rows.ts * 1e6).astype(np.int64),
        "_account": account,
        "_harvest": np.full(n, harvest),
        "model": _gather(market.MODEL_NAMES, model),
        "api_key_id": names("key_", key, counter.mask ^ 0x5BD1),
        "end_user_id": pl.Series(people.end_user[who].tolist(), dtype=pl.String),
        "source_ip": _gather(network.ip, address),
        "asn": pl.Series(network.asn, dtype=pl.Int64).gather(address),
        "country": _gather(network.country, address),
        "user_agent": _gather(_AGENTS, client),
        "ja4": _gather(_JA4, client),
        "operation": pl.Series(["chat"] * n, dtype=pl.String),
        "prompt": pl.Series(rows.prompt.tolist(), dtype=pl.String),
        "system_prompt": pl.Series(rows.system.tolist(), dtype=pl.String),
        "turn": np.where(keeps, rows.turn, 0),
        "session_id": names("conv_", rows.session + counter.sessions, counter.mask ^ 0x1F3D),
        "stream": _set(over, "stream", rng.random(n) < habit.stream).astype(bool),
        "temperature": pl.Series(market.TEMPERATURES, dtype=pl.Float64).gather(
            _set(over, "temperature", drawn)
        ),
        "n": _set(over, "several", np.where(rng.random(n) < habit.several, rng.choice([2, 3, 4], size=n), 1)),
        "top_logprobs": logprobs,
        "logit_bias": _set(over, "bias", rng.random(n) < 0.002).astype(bool),
        "tool_count": np.array([len(t) for t in market.TOOLSETS])[tools],
        "tool_names": pl.Series(market.TOOLSETS, dtype=pl.List(pl.String)).gather(tools),
        "n_images": np.where(rng.random(n) < habit.images, rng.geometric(0.7, n), 0),
    }
    columns.update(_outcome(rng, people, habit, rows, model=model, tools=tools, failed=failed))
    counter.requests += n
    counter.sessions += int(rows.session.max(initial=0)) + 1
    frame = pl.DataFrame(columns)
    present = {
        "session_id": keeps, "turn": keeps, "ttft_ms": ~failed & frame["stream"].to_numpy(),
        "finish_reason": ~failed, "max_tokens": frame["max_tokens"].to_numpy() > 0,
        "top_logprobs": logprobs > 0,
        "tool_names": tools > 0,
    }  # fmt: skip
    return frame.with_columns(
        pl.when(pl.Series(mask)).then(pl.col(name)).otherwise(None).alias(name)
        for name, mask in present.items()
    )


def _set(over: Mapping[str, Any], name: str, drawn: NDArray[Any]) -> NDArray[Any]:
    """The parameter from ``over``. Where ``over`` has none, or a value below 0, the drawn one."""
    given = over.get(name)
    return drawn if given is None else np.where(given < 0, drawn, given)


def _outcome(
    rng: Rng, people: People, habit: Habit, rows: Rows, *, model: Ints, tools: Ints, failed: Bools
) -> dict[str, Any]:
    """Tokens, times, statuses and finish reasons of the answers. Lengths follow the habit's fitted log-normals."""
    n, over = len(rows), rows.over
    drawn = np.where(rng.random(n) < 0.92, people.limit[rows.who], market.limits(rng, habit.use, n))
    limit = _set(over, "most", _LIMITS[drawn])
    chars = np.array(
        [len(p) + len(s or "") for p, s in zip(rows.prompt.tolist(), rows.system.tolist(), strict=True)]
    )
    context = np.exp(rng.normal(*habit.context, size=n)) + (rows.turn - 1) * rng.gamma(2.0, 180.0, n)
    read = (chars / rng.normal(3.9, 0.25, n).clip(3) + np.minimum(context, 180_000)).astype(int) + 4
    wanted: Floats = _set(over, "out", np.exp(rng.normal(*habit.out, size=n)).clip(1, 32_000))
    cut = (limit > 0) & (wanted >= limit)
    out = np.where(failed, 0, np.where(cut, limit, wanted)).astype(int)
    finish = np.where(cut, "length", np.where((tools > 0) & (rng.random(n) < 0.55), "tool", "stop"))
    finish = np.where(rng.random(n) < habit.refused, "refusal", finish)
    ttft = np.exp(rng.normal(6.0, 0.5, n)) + read * 0.02
    latency = ttft + out * rng.gamma(6.0, 2.2, n) * np.where(_LARGE[model], 1.9, 1.0)
    cached = (rows.turn > 1) & (rng.random(n) < 0.6)
    return {
        "input_tokens": read,
        "output_tokens": out,
        "cached_tokens": np.where(cached, read * rng.uniform(0.3, 0.9, n), 0).astype(int),
        "reasoning_tokens": np.where(_REASONS[model] & ~failed, np.exp(rng.normal(6, 1, n)), 0).astype(int),
        "latency_ms": np.round(np.where(failed, rng.gamma(2, 60, n), latency), 1),
        "ttft_ms": np.round(ttft, 1),
        "status": np.where(failed, rng.choice(_FAILURES, size=n, p=_FAILURE_WEIGHTS), 200),
        "finish_reason": pl.Series(finish.tolist(), dtype=pl.String),
        "max_tokens": limit,
    }


def _addresses(rng: Rng, network: Network, people: People, rows: Rows) -> Ints:
    """One address for each session: people move between home, a second place, mobile networks and VPNs."""
    number, session = np.unique(rows.session, return_inverse=True)
    owner = np.zeros(len(number), dtype=np.int64)
    owner[session] = rows.who
    u = rng.random(len(number))
    usual = people.addresses[owner, (rng.random(len(number)) < 0.2).astype(int)]
    vpn = rng.choice(network.vpn, size=len(number), p=network.vpn_weights)
    pools = [network.carrier[i] for i in range(len(COUNTRIES))]
    size = np.array([len(p) for p in pools])
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    country = people.country[owner]
    # Carrier exits change slowly, so a person uses few of them.
    near = (owner * 7 + (rng.random(len(number)) < 0.15)) % size[country]
    mobile = np.concatenate(pools)[first[country] + near]
    on_vpn, on_mobile = people.vpn[owner], people.mobile[owner]
    picked: Ints = np.where(u < on_vpn, vpn, np.where(u < on_vpn + on_mobile, mobile, usual))[session]
    return picked


def _models(rng: Rng, people: People, rows: Rows) -> Ints:
    n = len(rows)
    model = np.where(
        rng.random(n) < people.loyal[rows.who], people.model[rows.who], market.models(rng, people.taste, n)
    )
    new = (rows.ts >= people.adopts_s[rows.who]) & (rng.random(n) < 0.65)
    picked: Ints = np.where(new, market.NEW, model)
    return picked


def names(prefix: str, numbers: Ints, mask: int) -> pl.Series:
    """Opaque, unique names of numbers. A bijection of 48 bits hides their order."""
    low = np.uint64((1 << 48) - 1)
    x = (numbers.astype(np.uint64) ^ (np.uint64(mask) & low)) * np.uint64(0x9E3779B97F4A7C15) & low
    x ^= x >> np.uint64(23)
    x = x * np.uint64(0xBF58476D1CE4E5B9) & low
    x ^= x >> np.uint64(25)
    text = x.astype(">u8").tobytes().hex()
    return pl.Series([prefix + text[i + 4 : i + 16] for i in range(0, len(text), 16)], dtype=pl.String)


def _gather(values: Sequence[str], index: Ints) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(index)


def _with_retries(rng: Rng, rows: Rows) -> Rows:
    """The rows with retries: about one request in a hundred fails and is sent again within seconds."""
    n = len(rows)
    again = np.flatnonzero(rng.random(n) < 0.012)
    order = np.concatenate([np.arange(n), again])
    ts = np.concatenate([rows.ts, rows.ts[again] + np.exp(rng.normal(1.2, 1.0, len(again)))])
    over = {k: (v[order] if isinstance(v, np.ndarray) else v) for k, v in rows.over.items()}
    failed = np.zeros(n + len(again), dtype=bool)
    failed[again] = True
    over["failed"] = failed
    return replace(
        rows, who=rows.who[order], ts=ts, turn=rows.turn[order], session=rows.session[order],
        prompt=rows.prompt[order], system=rows.system[order], over=over,
    )  # fmt: skip
