"""One scaffold, one template, whatever is filled in; and nothing secret in a skeleton."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from detector.ingest.known import KnownState
from detector.lake.store import Store
from features.request.measure import TextMeter
from features.request.template import stock_words

KEY = b"0123456789abcdef"
FILLINGS = (
    "A train leaves the harbour at 12:30 with 40 wagons. How far does it get?",
    "Which metals react with cold water?\nName three. Give the equation for one of them",
    'Alice said "never again" and left. Who stayed behind, and why did nobody ask her about the letter',
    "Find x when 3x + 7 = 22",
)
FILLINGS_ZH = (
    "小明有三个苹果，吃了一个，还剩几个？",
    "水的沸点是多少？在高山上呢？",
    "下列哪个城市在海边，为什么有很多雨",
)
SCAFFOLDS = (
    "You are an expert mathematician. Solve the following problem step by step.\n\nProblem: {}\n\nAnswer:",
    "Question: {}\nAnswer:",
    "### Instruction:\nAnswer the question below.\n\n### Input:\n{}\n\n### Response:",
    "Use only the context to answer.\n<context>\n{}\n</context>",
    "Translate the following text into French: {}",
    "Grade the response below. Return only a number.\nResponse: {}\nScore:",
)
SCAFFOLDS_ZH = ("请一步一步思考，然后回答下面的问题。\n问题：{}\n答案：", "你是一位专家。\n任务：{}")


def templates(prompts: list[str]) -> list[int | None]:
    frame = TextMeter(KEY).measure(pl.Series(prompts), pl.Series([None] * len(prompts), dtype=pl.String))
    return frame["template_id"].to_list()


@pytest.mark.parametrize("scaffold", SCAFFOLDS)
def test_a_scaffold_keeps_its_template(scaffold: str) -> None:
    assert len(set(templates([scaffold.format(filling) for filling in FILLINGS]))) == 1


@pytest.mark.parametrize("scaffold", SCAFFOLDS_ZH)
def test_a_chinese_scaffold_keeps_its_template(scaffold: str) -> None:
    assert len(set(templates([scaffold.format(filling) for filling in FILLINGS_ZH]))) == 1


def test_different_scaffolds_differ() -> None:
    found = templates(
        [s.format(FILLINGS[0]) for s in SCAFFOLDS] + [s.format(FILLINGS_ZH[0]) for s in SCAFFOLDS_ZH]
    )
    assert len(set(found)) == len(SCAFFOLDS) + len(SCAFFOLDS_ZH)
    assert None not in found


def test_few_shot_blocks_count_once() -> None:
    shots = "Q: {}\nA: {}\n\n"
    two = "".join(shots.format(FILLINGS[0], n) for n in range(2))
    five = "".join(shots.format(FILLINGS[1], n) for n in range(5))
    assert len(set(templates([two, five]))) == 1


def test_code_is_a_slot() -> None:
    first = "Review this code:\n```\nNote: one\nx = 1\n```\nVerdict:"
    second = "Review this code:\n```\nLine: y\nCase: z\nreturn 5\n```\nVerdict:"
    assert len(set(templates([first, second]))) == 1


def test_skeletons_show_stock_words_only_and_come_once(store: Store) -> None:
    meter, known = TextMeter(KEY), KnownState(store, KEY, pseudonymise=False, now=datetime(2026, 3, 2))
    secret = "You are a Zanzibarian accountant of Quorvex. Answer the question.\nQuestion: {}"
    prompts = pl.Series([secret.format(filling) for filling in FILLINGS])
    none = pl.Series([None] * len(prompts), dtype=pl.String)
    ids = meter.measure(prompts, none)["template_id"]
    told = meter.show(known.templates_due(ids))
    assert told.schema == {"template_id": pl.UInt64, "skeleton": pl.String}
    assert told["template_id"].to_list() == [ids[0]]
    assert "zanzibarian" not in told["skeleton"][0]
    assert told["skeleton"][0].startswith("you are a _ _ of")
    assert told["skeleton"][0].endswith("question …")
    assert set(told["skeleton"][0].split()) - {"_", "…", "/"} <= stock_words()
    ids = meter.measure(prompts, none)["template_id"]
    assert meter.show(known.templates_due(ids)).is_empty()


def test_a_text_met_once_has_no_skeleton_and_none_is_long(store: Store) -> None:
    meter, known = TextMeter(KEY), KnownState(store, KEY, pseudonymise=False, now=datetime(2026, 3, 2))
    labels = "".join(f"step {word}:\n x\n" for word in sorted(stock_words())[:200])
    once = meter.measure(pl.Series(["Only once told"]), pl.Series([None], dtype=pl.String))
    assert meter.show(known.templates_due(once["template_id"])).is_empty()
    twice = meter.measure(pl.Series([labels, labels]), pl.Series([None, None], dtype=pl.String))
    told = meter.show(known.templates_due(twice["template_id"]))
    assert told.height == 1
    assert len(told["skeleton"][0]) <= 400
