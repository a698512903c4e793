"""Phrases and log writers: families apart, prompts varied, every format read back by ingest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detector.ingest.ingestion import ingest
from detector.lab.worlds import clock
from detector.lab.worlds.formats import WRITERS, rows_of
from detector.lab.worlds.grammar import Grammar, fill
from detector.lab.worlds.paraphrase import Paraphraser
from detector.lab.worlds.samples import FORMATS, WORLD
from detector.lab.worlds.texts import DOMAINS, questions
from detector.lab.worlds.world import make_world
from detector.lake.store import Store

KINDS = ("cot", "pairs", "grading", "rewrite", "trace", "agentic", "coding", "bulk", "translate")


def rng(seed: int = 900_301) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_scaffold_families_are_apart(kind: str) -> None:
    parts = [set(Grammar(letter).names(f"scaffold.{kind}.")) for letter in "abc"]
    assert [len(p) for p in parts] == [2, 2, 2]
    assert len(set.union(*parts)) == 6 == len(Grammar().names(f"scaffold.{kind}."))


@pytest.mark.parametrize(
    "rule", ["noun", "ask.maths", "chat.en", "code.verb", "ask.zh", "followup", "system.harvest"]
)
def test_long_rules_share_nothing_between_letters(rule: str) -> None:
    parts = [set(Grammar(letter).lines(rule)) for letter in "abc"]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == set(Grammar().lines(rule))


def test_texts_of_two_letters_have_few_lines_in_common() -> None:
    made = [set(Grammar(letter).make(rng(), "ask.code", 3_000)) for letter in "ab"]
    assert not made[0] & made[1]


def test_questions_do_not_repeat_even_when_words_run_out() -> None:
    taken: set[str] = set()
    for _ in range(3):
        questions(Grammar("b"), rng(), 2_000, ("safety", "zh"), taken)
    assert len(taken) == 6_000
    for domain in DOMAINS:
        assert len(set(questions(Grammar("c"), rng(), 1_500, (domain,)))) == 1_500


def test_no_slot_is_left_open() -> None:
    grammar = Grammar()
    for name in (
        "chat.en",
        "chat.code",
        "work.teacher",
        "paste",
        "agent.turn",
        "followup.more",
        "chat.other",
        "redteam",
    ):
        made = grammar.make(rng(), name, 800)
        assert not [
            t for t in made if "{" in t and any(f"{{{r}}}" in t for r in ("noun", "int", "Q", "A", "ask"))
        ]


def test_paraphrases_differ_and_keep_the_marks() -> None:
    grammar = Grammar()
    for rule in grammar.names("scaffold.grading."):
        once = grammar.make(rng(), rule, 1).repeat(400)
        made = Paraphraser(grammar).reword(rng(), once)
        assert len(set(made)) > 120
        assert all(t.count("{Q}") == 1 and t.count("{A}") == once[0].count("{A}") for t in made)


def test_fill_puts_values_in_place_even_with_braces() -> None:
    texts = np.array(["a {Q} b {x}", "{A}{Q}{A}"], dtype=object)
    done = fill(texts, Q=np.array(["{A}", "x"], dtype=object), A=np.array(["y", "z"], dtype=object))
    assert done.tolist() == ["a {A} b {x}", "zxy"]


def test_grammar_refuses_other_letters() -> None:
    with pytest.raises(ValueError, match="abc"):
        Grammar("d")


def test_sessions_follow_the_clock_of_their_zone() -> None:
    owner = np.repeat(np.arange(2), 4_000)
    starts = clock.session_starts(
        rng(), owner, np.array([0.0, 12.0]), rhythm="office", days=7, first_weekday=0, burst=5.0
    )
    hour = (starts % clock.DAY_S) // 3600
    day, night = (hour >= 7) & (hour < 19), (hour < 7) | (hour >= 19)
    assert day[owner == 0].mean() > 0.8
    assert night[owner == 1].mean() > 0.8
    weekend = starts // clock.DAY_S >= 5
    assert weekend.mean() < 0.15
    session, ts, turn = clock.unroll(rng(), np.array([10.0, 5.0]), np.array([3, 2]), gap_s=60, sigma=0.5)
    assert session.tolist() == [0, 0, 0, 1, 1]
    assert turn.tolist() == [1, 2, 3, 1, 2]
    assert ts[0] == 10.0
    assert ts[3] == 5.0
    assert (np.diff(ts[:3]) > 0).all()


@pytest.fixture(scope="module")
def requests() -> pl.DataFrame:
    return make_world(replace(FORMATS, seed=900_302)).requests.head(60)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_ingest_reads_every_format(name: str, requests: pl.DataFrame, tmp_path: Path) -> None:
    log = tmp_path / name.removesuffix(".gz")
    log.write_text("".join(WRITERS[name](rows_of(requests))), encoding="utf-8", newline="")
    (report,) = ingest([log], Store(tmp_path / "lake"), key=b"0" * 32)
    assert (report.n_requests, report.n_rejects, report.n_duplicates) == (60, 0, 0)
    assert report.format == name.split("-")[0]
    assert report.unknown_keys == set()


def test_formats_agree_on_what_they_all_carry(requests: pl.DataFrame) -> None:
    rows = rows_of(requests)
    native = [json.loads(line) for line in WRITERS["native-requests.jsonl"](rows)]
    spend = [json.loads(line) for line in WRITERS["litellm-spend-logs.jsonl"](rows)]
    envoy = [json.loads(line) for line in WRITERS["envoy-ai-gateway-access.jsonl"](rows)]
    bedrock = [json.loads(line) for line in WRITERS["bedrock-model-invocations.jsonl"](rows)]
    for a, b, c, d in zip(native, spend, envoy, bedrock, strict=True):
        assert a["request_id"] == b["request_id"] == c["x-request-id"] == d["requestId"]
        assert a["input_tokens"] == b["prompt_tokens"] == c["gen_ai.usage.input_tokens"]
        assert a["account_id"] == b["user"] == c["x-account-id"]
        assert a["prompt"] == b["proxy_server_request"]["messages"][-1]["content"]
        assert a["prompt"] == d["input"]["inputBodyJson"]["messages"][-1]["content"][0]["text"]


def test_sample_seeds_are_nobody_elses() -> None:
    assert {FORMATS.seed, WORLD.seed} == {500_001, 500_002}
