"""Worlds: reproducible, complete, consistent, honest about evasion."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from detector.errors import ConfigError
from detector.lab.worlds import town as town_module
from detector.lab.worlds.world import (
    ARCHETYPES,
    CAMPAIGNS,
    World,
    WorldSpec,
    make_world,
    simulate,
    write_world,
)
from features import schema
from features.request.probes import logit_probe

SMALL = WorldSpec(seed=900_101, days=4, honest_accounts=320, attacker_share=0.12, requests=4_000)
MASS = tuple(name for name, c in CAMPAIGNS.items() if c.weight)


@cache
def world(
    evasion_level: int = 1, campaigns: tuple[str, ...] = tuple(CAMPAIGNS), poison: bool = False
) -> World:
    return make_world(replace(SMALL, evasion_level=evasion_level, campaigns=campaigns, poison=poison))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    spec = replace(SMALL, honest_accounts=150, days=2)
    for name, seed in (("a", 900_102), ("b", 900_102), ("c", 900_103)):
        write_world(make_world(replace(spec, seed=seed)), tmp_path / name)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert a == b
    same = [name for name in a if a[name] == c.get(name)]
    assert not [name for name in same if "requests" in name or "accounts" in name or "truth" in name]


def test_streaming_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(SMALL, honest_accounts=200, days=3)
    write_world(make_world(spec), tmp_path / "whole")
    monkeypatch.setattr(town_module, "SPOOL_ROWS", 2_000)
    told: list[float] = []
    counts = simulate(spec, tmp_path / "streamed", progress=lambda name, share: told.append(share))
    assert files(tmp_path / "whole") == files(tmp_path / "streamed")
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert counts["n_accounts"] == len(pl.read_csv(tmp_path / "whole" / "truth.csv"))


def test_every_archetype_and_campaign_appears() -> None:
    truth = world().truth
    assert set(ARCHETYPES) <= set(truth["archetype"].unique())
    assert set(CAMPAIGNS) == set(truth.filter(pl.col("label") == 1)["campaign"].unique())
    kinds = set(truth["kind"].unique())
    assert kinds == {"honest", "distillation", "resale", "logit_extraction", "key_compromise", "key_sharing"}
    honest = truth.filter(pl.col("label") == 0)
    assert len(honest) == SMALL.honest_accounts
    assert set(honest["campaign"].unique()) == {""}
    assert set(honest["group"].unique()) == {""}


@pytest.mark.parametrize(("name", "head"), [("judge", 40), ("library_user", 60), ("pipeline", 30)])
def test_strangers_share_published_text_word_for_word_around_their_own(name: str, head: int) -> None:
    made = make_world(
        replace(
            SMALL,
            archetypes=("chat_user", name),
            attacker_share=0.0,
            campaigns=(),
            honest_accounts=300,
            requests=16_000,
        )
    )
    mine = made.truth.filter(pl.col("archetype") == name).select("account_id")
    sent = made.requests.join(mine, on="account_id", how="semi").filter(pl.col("prompt").is_not_null())
    opening = sent.with_columns(pl.col("prompt").str.slice(0, head).alias("opening"))
    holders = opening.group_by("opening").agg(pl.col("account_id").n_unique().alias("n"))
    most = holders.sort("n").row(-1, named=True)
    assert most["n"] >= 3
    assert most["n"] < mine["account_id"].n_unique()
    of_most = opening.filter(pl.col("opening") == most["opening"])
    assert of_most["prompt"].n_unique() > 0.9 * len(of_most)


@pytest.mark.parametrize("name", sorted(CAMPAIGNS))
def test_campaign_alone_sends_harvest(name: str) -> None:
    made = make_world(
        replace(
            SMALL,
            seed=900_104,
            honest_accounts=120,
            days=2,
            campaigns=(name,),
            evasion_level=2,
            attacker_share=0.1,
        )
    )
    attackers = made.truth.filter(pl.col("label") == 1)
    assert set(attackers["campaign"]) == {name}
    assert attackers["group"].n_unique() == 1
    assert len(made.harvest) >= 10
    senders = made.requests.filter(pl.col("request_id").is_in(made.harvest.implode()))["account_id"].unique()
    assert set(senders) <= set(attackers["account_id"])


def test_columns_are_the_canonical_record() -> None:
    made = world()
    assert made.requests.columns == [c.name for c in schema.CANONICAL]
    assert made.accounts.columns == [c.name for c in schema.ACCOUNTS]
    assert made.account_events.columns == [c.name for c in schema.ACCOUNT_EVENTS]
    assert made.model_releases.columns == [c.name for c in schema.MODEL_RELEASES]


def test_references_hold() -> None:
    made = world()
    requests, accounts = made.requests, made.accounts
    assert requests["request_id"].n_unique() == len(requests)
    assert accounts["account_id"].n_unique() == len(accounts) == len(made.truth)
    assert set(requests["account_id"].unique()) <= set(accounts["account_id"])
    assert set(made.account_events["account_id"].unique()) <= set(accounts["account_id"])
    released = dict(made.model_releases.iter_rows())
    assert set(requests["model"].unique()) == set(released)
    late = requests.with_columns(at=pl.col("model").replace_strict(released))
    assert (late["ts"] >= late["at"]).all()
    born = requests.join(accounts.select("account_id", "created_at"), on="account_id")
    assert (born["ts"] >= born["created_at"]).all()
    assert requests.filter(pl.col("ts").dt.date() < SMALL.start).is_empty()
    assert requests["ts"].is_sorted()
    # A session belongs to one account, and an API key too.
    for column in ("session_id", "api_key_id"):
        held = requests.drop_nulls(column).group_by(column).agg(pl.col("account_id").n_unique())
        assert held["account_id"].max() == 1
    counted = dict(requests.group_by("account_id").len().iter_rows())
    assert all(counted.get(a, 0) == n for a, n in made.truth.select("account_id", "n_requests").iter_rows())


def test_banned_accounts_fall_silent_and_are_replaced() -> None:
    made = make_world(replace(SMALL, campaigns=("proxy_network",), ban_rate=0.4, evasion_level=1))
    bans = made.account_events.filter(pl.col("event") == "banned").select("account_id", at="ts")
    after = made.requests.join(bans, on="account_id").filter(pl.col("ts") >= pl.col("at"))
    assert after.is_empty()
    crew = made.truth.filter(pl.col("label") == 1)
    banned = bans.join(crew, on="account_id")
    assert len(banned) >= 5
    # Successors are opened inside the window, mostly within a day of a ban.
    start = made.spec.start
    created = made.accounts.join(crew, on="account_id").filter(pl.col("created_at").dt.date() > start)
    waits = [
        min((c - b).total_seconds() for b in banned["at"] if b <= c)
        for c in created["created_at"]
        if any(b <= c for b in banned["at"])
    ]
    assert sum(w <= 86_400 for w in waits) >= 0.5 * len(banned)
    assert max(c.date() for c in bans["at"]) >= start


def test_the_honest_are_banned_join_and_change_models_too() -> None:
    made = make_world(replace(SMALL, honest_accounts=1200, attacker_share=0.0))
    assert made.truth["label"].sum() == 0
    events = set(made.account_events["event"].unique())
    assert {"created", "banned", "suspended", "key_rotated"} <= events
    joined = made.accounts.filter(pl.col("created_at").dt.date() >= made.spec.start)
    assert 0.01 < len(joined) / len(made.accounts) < 0.25
    used = made.requests.filter(pl.col("model") == "meridian-5-large")
    assert used["account_id"].n_unique() > 20
    assert made.accounts["pathway"].n_unique() == 5
    assert {"payg", "free", "education", "research", "startup", "enterprise", "partner"} == set(
        made.accounts["program"].unique()
    )


def cards(made: World) -> float:
    """Mean number of the campaign's accounts on one card."""
    crew = made.accounts.join(made.truth.filter(pl.col("label") == 1), on="account_id")
    return float(len(crew) / crew["payment_fingerprint"].n_unique())


def test_evasion_levels_differ_as_the_ladder_says() -> None:
    spec = replace(SMALL, honest_accounts=600, campaigns=("cot_rubric",), attacker_share=0.12, ban_rate=0.0)
    evasion_levels = [make_world(replace(spec, evasion_level=r)) for r in range(4)]
    per_card = [cards(w) for w in evasion_levels]
    assert per_card[0] > 5 > per_card[1] > 1.5
    assert per_card[2] == per_card[3] == 1.0
    for evasion_level, made in enumerate(evasion_levels):
        crew = made.truth.filter((pl.col("label") == 1) & (pl.col("kind") == "distillation"))
        mine = made.requests.join(crew.select("account_id"), on="account_id")
        harvest = mine.filter(pl.col("request_id").is_in(made.harvest.implode()))
        share = len(harvest) / len(mine)
        low, high = ((1.0, 1.0), (0.8, 0.97), (0.3, 0.7), (0.1, 0.35))[evasion_level]
        assert low <= share <= high, (evasion_level, share)
        clients = harvest["user_agent"].n_unique()
        assert (clients == 1, clients <= 3, 3 < clients <= 8, clients > 5)[evasion_level], (
            evasion_level,
            clients,
        )
        created = made.accounts.join(crew, on="account_id")["created_at"]
        spread = (created.max() - created.min()).total_seconds() / 86_400  # type: ignore[operator,union-attr]
        assert (spread < 0.3, spread < 10, spread > 30, spread > 60)[evasion_level], (evasion_level, spread)
        openings = harvest["prompt"].str.slice(0, 25).n_unique() / len(harvest)
        if evasion_level == 0:
            assert openings < 0.75
    exits = set(
        evasion_levels[2].requests.join(
            evasion_levels[2].truth.filter(pl.col("label") == 1), on="account_id"
        )["source_ip"]
    )
    homes = set(
        evasion_levels[2].requests.join(
            evasion_levels[2].truth.filter(pl.col("label") == 0), on="account_id"
        )["source_ip"]
    )
    assert len(exits & homes) >= 3


def test_round_robin_spreads_load_evenly() -> None:
    spec = replace(SMALL, campaigns=("bulk_questions",), evasion_level=0, ban_rate=0.0, honest_accounts=400)
    made = make_world(spec)
    load = made.truth.filter(pl.col("label") == 1)["n_requests"]
    assert load.std() / load.mean() < 0.25  # type: ignore[operator]
    honest = made.truth.filter((pl.col("label") == 0) & (pl.col("n_requests") > 0))["n_requests"]
    assert honest.std() / honest.mean() > 1.0  # type: ignore[operator]


def test_a_release_moves_the_coding_campaign_within_a_day() -> None:
    made = make_world(replace(SMALL, campaigns=("agentic_coding",), evasion_level=1, days=6))
    released = made.model_releases.filter(pl.col("model") == "meridian-5-large")["released_at"][0]
    harvest = made.requests.filter(pl.col("request_id").is_in(made.harvest.implode()))
    later = harvest.filter(pl.col("ts") > released + pl.duration(hours=24))
    assert 0.35 < (later["model"] == "meridian-5-large").mean() < 0.65  # type: ignore[operator]
    assert harvest.filter((pl.col("ts") < released) & (pl.col("model") == "meridian-5-large")).is_empty()
    without = make_world(replace(SMALL, release=False, honest_accounts=150, days=2))
    assert "meridian-5-large" not in set(without.requests["model"])


def test_poisoning_frames_honest_accounts() -> None:
    made = world(campaigns=("cot_rubric", "agentic_tools"), poison=True)
    framed = made.truth.filter(pl.col("framed"))
    assert len(framed) >= 1
    assert framed["label"].sum() == 0
    victims = made.requests.join(framed.select("account_id"), on="account_id")
    harvest = made.requests.filter(pl.col("request_id").is_in(made.harvest.implode()))
    network = pl.col("source_ip").str.replace(r"\.\d+$|::[0-9a-f]+$", "")
    assert set(victims.select(network)["source_ip"]) & set(harvest.select(network)["source_ip"])
    assert set(victims["prompt"]) & set(harvest["prompt"])
    assert not world().truth["framed"].any()


def test_harvest_does_not_repeat_and_starts_anywhere() -> None:
    spec = replace(SMALL, campaigns=("bulk_questions",), evasion_level=3, honest_accounts=500)
    prompts = []
    for seed in (900_105, 900_106):
        made = make_world(replace(spec, seed=seed))
        mine = made.requests.filter(pl.col("request_id").is_in(made.harvest.implode()))
        first = mine.filter(pl.col("turn").fill_null(1) == 1)["prompt"]
        assert first.n_unique() / len(first) > 0.9
        prompts.append(set(first))
    assert len(prompts[0] & prompts[1]) < 0.05 * min(map(len, prompts))


def test_missing_inputs_are_missing(tmp_path: Path) -> None:
    spec = replace(SMALL, honest_accounts=120, days=1)
    blank = make_world(replace(spec, missing=frozenset({"prompts", "payment", "ja4"})))
    assert blank.requests["prompt"].null_count() == len(blank.requests)
    assert blank.requests["system_prompt"].null_count() == len(blank.requests)
    assert blank.requests["ja4"].null_count() == len(blank.requests)
    assert blank.accounts["payment_bin"].null_count() == len(blank.accounts) > 0
    write_world(make_world(replace(spec, missing=frozenset({"accounts"}))), tmp_path)
    assert {p.name.split("-20")[0] for p in (tmp_path / "logs").iterdir()} == {
        "requests",
        "model_releases.jsonl",
    }


def test_written_lines_leave_out_what_is_unknown(tmp_path: Path) -> None:
    made = make_world(replace(SMALL, honest_accounts=120, days=2))
    write_world(made, tmp_path)
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "logs").glob("requests-*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    assert len(lines) == len(made.requests)
    assert not [k for line in lines for k, v in line.items() if v is None]
    known = {c.name for c in schema.CANONICAL}
    assert {k for line in lines for k in line} <= known
    assert lines[0]["ts"] == made.requests["ts"][0].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert [line["prompt"] for line in lines] == made.requests["prompt"].to_list()
    accounts = [json.loads(line) for line in (tmp_path / "logs" / "accounts.jsonl").read_text().splitlines()]
    assert len(accounts) == len(made.accounts)
    assert all(isinstance(v, list) for a in accounts for v in a["keys"].values())
    about = json.loads((tmp_path / "world.json").read_text())
    assert about["n_requests"] == len(lines)
    assert about["spec"]["seed"] == SMALL.seed


def test_scale_is_a_share_of_the_published_size() -> None:
    made = make_world(
        replace(
            SMALL,
            honest_accounts=120,
            days=1,
            campaigns=("software_engineering_long",),
            scale=0.004,
            ban_rate=0,
        )
    )
    assert made.truth["label"].sum() == 100


def test_counts_follow_the_spec() -> None:
    made = make_world(replace(SMALL, honest_accounts=800, requests=20_000, attacker_share=0.05))
    honest = made.truth.filter(pl.col("label") == 0)
    assert 12_000 < honest["n_requests"].sum() < 30_000
    assert 30 <= made.truth["label"].sum() <= 75


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"evasion_level": 4}, "evasion_level"),
        ({"honest_accounts": 3}, "honest_accounts"),
        ({"campaigns": ("nonsense",)}, "cot_rubric"),
        ({"archetypes": ("nobody",)}, "chat_user"),
        ({"families": "ax"}, "a, b, c"),
        ({"missing": frozenset({"tea"})}, "prompts"),
        ({"attacker_share": 1.5}, "attacker_share"),
    ],
)
def test_a_wrong_spec_says_what_would_do(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        replace(SMALL, **change)  # type: ignore[arg-type]
    assert says in str(error.value)


def test_honest_programs_read_odds_at_every_rate() -> None:
    """Short answers with log-probabilities must not be an extraction's alone, nor everybody's."""
    made = [
        make_world(WorldSpec(seed=s, days=7, honest_accounts=900, evasion_level=s % 4))
        for s in range(900_111, 900_115)
    ]
    shares: list[float] = []
    archetypes: set[str] = set()
    counts: list[tuple[int, int]] = []
    for one in made:
        probe = logit_probe(one.requests).fill_null(value=False)
        sent = (
            one.requests.select("account_id", probe).group_by("account_id").agg(pl.col("logit_probe").sum())
        )
        honest = one.truth.filter(pl.col("label") == 0).join(sent, on="account_id", how="left").fill_null(0)
        often = honest.filter(pl.col("logit_probe") >= 4)
        shares.append(len(often) / len(honest))
        archetypes.update(often["archetype"])
        counts += often.select("logit_probe", "n_requests").rows()
        # Eight alternatives and more nobody else lists: the calls are made without tools, in one turn.
        rows = one.requests.filter(probe & (pl.col("top_logprobs") >= 8)).join(honest, on="account_id")
        assert rows["prompt"].n_unique() > 0.5 * len(rows)
        assert set(rows["tool_count"]) == {0}
        assert set(rows["turn"].drop_nulls()) <= {1}
    assert all(0.005 <= share <= 0.05 for share in shares), shares
    assert 0.01 <= sum(shares) / len(shares) <= 0.04, shares
    assert {"pipeline", "evaluator", "app_builder"} <= archetypes
    assert len(archetypes) >= 5
    # From a handful in a week to nearly all an account sends, hundreds of them.
    assert min(n for n, _ in counts) < 10
    assert max(n for n, _ in counts) > 200
    part = [n / total for n, total in counts]
    assert min(part) < 0.1
    assert max(part) > 0.8


def test_an_extraction_asks_for_the_one_token_it_gets() -> None:
    made = make_world(replace(SMALL, honest_accounts=120, days=2, campaigns=("logit_extraction",)))
    sent = made.requests.filter(
        pl.col("request_id").is_in(made.harvest.implode()) & (pl.col("status") == 200)
    )
    limited = sent.filter(pl.col("max_tokens") == 1)
    assert set(limited["output_tokens"]) == {1}
    assert 0.8 < len(limited) / len(sent) < 0.9
