"""What ingest measures of text: shapes, NULLs, keys, and that nothing depends on neighbours."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from features.request import measure as measuring
from features.request.keyed import Prf
from features.request.measure import COLUMNS, TextMeter, keyed_hash, logit_probe
from features.request.sketch import similarity
from features.schema import CAPABILITIES, CONTENT_KEY_KINDS

KEY = b"0123456789abcdef"
ODD = [
    None,
    "",
    "   \n\t \n",
    "!!! ... ???",
    "one",
    "two words",
    "a b c",
    "four plain words here",
    "x" * 5000,
    "Emoji 😀😀 and 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠀀𠀁",
    "\x00\x01\x1b[31mred\x7f control\u0085 bytes",
    "\u0301\u0301 combining alone",
    "مرحبا بالعالم كيف حالك اليوم يا صديقي العزيز",
    "‮reversed‬ and hid\u200bden",
    "请一步一步思考，然后回答：今天星期几？",
    "今日はいい天気ですね。散歩に行きましょう。",
    "Как дела? Что ты думаешь об этом вопросе?",
    "오늘 날씨가 어떻습니까 알려 주세요",
    "first line of text here\n\nsecond line of text here\r\nthird",
]


def texts(values: list[str | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.String)


def measure(
    prompts: list[str | None], systems: list[str | None] | None = None, key: bytes = KEY
) -> pl.DataFrame:
    return TextMeter(key).measure(texts(prompts), texts(systems or [None] * len(prompts)))


def keys_of(frame: pl.DataFrame, row: int, kind: str) -> set[int]:
    code = {name: number for number, name in CONTENT_KEY_KINDS.items()}[kind]
    return {key for key in frame["content_keys"][row] if key % 16 == code}


def words(rng: random.Random, count: int) -> str:
    return " ".join("".join(rng.choices("abcdefghij", k=rng.randint(3, 8))) for _ in range(count))


def test_columns_and_types_hold_for_any_input() -> None:
    for prompts in ([], [None], [""], ODD):
        frame = measure(list(prompts))
        assert list(frame.schema) == list(COLUMNS)
        assert all(frame.schema[name] == dtype for name, dtype in COLUMNS.items())
        assert frame.height == len(prompts)


def test_null_text_gives_nulls_only_and_blank_text_has_lengths_but_no_hashes() -> None:
    frame = measure([None, " \n", "!?"])
    assert all(value is None for value in frame.row(0))
    assert frame.select("prompt_chars", "prompt_words", "prompt_lines").rows()[1:] == [(2, 0, 0), (2, 0, 1)]
    for column in (
        "prompt_hash",
        "template_id",
        "prompt_sketch",
        "content_keys",
        "elicitation_score",
        "language",
    ):
        assert frame[column][1:].null_count() == 2, column


def test_counts() -> None:
    frame = measure(["Hello, World! It's 3.14 or 12:30.\n\n---\nBye 你好"])
    # hello world it s NUM or NUM bye 你 好
    assert frame.select("prompt_words", "prompt_lines").row(0) == (10, 3)
    assert frame["prompt_chars"][0] == 45


def test_rows_depend_on_nothing_but_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    prompts = [
        *ODD,
        *(words(rng, rng.randint(1, 300)) + rng.choice(["", ".\nQuestion: x", "。"]) for _ in range(150)),
    ]
    systems = [
        rng.choice([None, "", "You are a helpful assistant.", ODD[14], words(rng, 30)]) for _ in prompts
    ]
    whole = measure(prompts, systems)
    order = list(range(len(prompts)))
    rng.shuffle(order)
    shuffled = measure([prompts[i] for i in order], [systems[i] for i in order])
    assert shuffled.equals(whole[order])
    monkeypatch.setattr(measuring, "PART_BYTES", 300)
    monkeypatch.setattr(measuring, "PART_ROWS", 3)
    assert measure(prompts, systems).equals(whole)
    single = pl.concat([measure([p], [s]) for p, s in zip(prompts, systems, strict=True)])
    assert single.equals(whole)


def test_the_key_decides_every_stored_hash_and_nothing_else() -> None:
    prompt: list[str | None] = [
        "You are an expert. Answer the question below with care.\nQuestion: why is the sky blue"
    ]
    one, other = measure(prompt, prompt), measure(prompt, prompt, b"another key of enough bytes")
    for column in ("prompt_hash", "system_hash", "template_id", "prompt_sketch", "system_sketch"):
        assert one[column][0] != other[column][0], column
    assert not set(one["content_keys"][0]) & set(other["content_keys"][0])
    same = ["prompt_words", "elicitation_score", "capability", "language"]
    assert one.select(same).equals(other.select(same))


def test_hashes_are_the_same_in_another_process() -> None:
    code = (
        "import polars as pl; from features.request.measure import TextMeter;"
        f"f = TextMeter({KEY!r}).measure(pl.Series(['Tell me a long story now']), pl.Series(['Be brief']));"
        "print(f['prompt_hash'][0], f['prompt_sketch'][0].hex(), f['content_keys'][0].to_list())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    frame = measure(["Tell me a long story now"], ["Be brief"])
    hashes = frame["content_keys"][0].to_list()
    assert told == f"{frame['prompt_hash'][0]} {frame['prompt_sketch'][0].hex()} {hashes}"


def test_case_spacing_and_figures_change_nothing() -> None:
    frame = measure(["In 2024 we sold 3.5 Tons of GRAIN, a lot", "in 1999  we sold 12 tons\tof grain a LOT"])
    assert frame["prompt_hash"].n_unique() == 1
    assert frame["content_keys"][0].to_list() == frame["content_keys"][1].to_list()


def test_content_keys_hold_few_of_each_kind_and_none_for_short_text() -> None:
    rng = random.Random(5)
    long = "\n".join(words(rng, 9) for _ in range(40))
    frame = measure([long, "hi there", long], [None, None, long])
    most = {"exact": 1, "line": 6, "gram5": 8, "band": 8, "system": 1, "system_band": 8, "template": 1}
    for name in CONTENT_KEY_KINDS.values():
        assert len(keys_of(frame, 2, name)) == most.get(name, 1), name
    assert {key % 16 for key in frame["content_keys"][1]} == {0}
    assert not set(frame["content_keys"][0]) - set(frame["content_keys"][2])
    assert frame["content_keys"].list.n_unique().to_list() == frame["content_keys"].list.len().to_list()


def test_a_scaffold_leaves_common_keys_whatever_fills_it() -> None:
    rng = random.Random(7)
    scaffold = "Work through the task below and note each inference before the verdict."
    frame = measure(
        [f"{scaffold}\n\n{words(rng, 30)}\n\nClose with one line that holds the verdict" for _ in range(6)]
    )
    for kind in ("opening4", "opening8", "ending4", "ending8", "line"):
        shared = set.intersection(*(keys_of(frame, row, kind) for row in range(6)))
        assert shared, kind
    pairs = [(a, b) for a in range(6) for b in range(a)]
    met = sum(bool(keys_of(frame, a, "gram5") & keys_of(frame, b, "gram5")) for a, b in pairs)
    assert met >= len(pairs) // 2


def test_sketches_estimate_similarity() -> None:
    rng = random.Random(9)
    base = words(rng, 120).split()
    near = [w if rng.random() > 0.03 else "zz" for w in base]
    frame = measure([" ".join(base), " ".join(near), words(rng, 120)])
    a, b, c = frame["prompt_sketch"]
    assert len(a) == 128
    assert similarity(a, a) == 1.0
    assert similarity(a, b) > 0.6
    assert similarity(a, c) < 0.1
    assert keys_of(frame, 0, "band") & keys_of(frame, 1, "band")
    assert not keys_of(frame, 0, "band") & keys_of(frame, 2, "band")


def test_a_sketch_agrees_with_exact_similarity() -> None:
    rng = random.Random(13)
    gap = []
    for _ in range(60):
        a = words(rng, 60).split()
        b = a[: rng.randint(5, 60)] + words(rng, 30).split()
        left, right = ({tuple(t[i : i + 3]) for i in range(len(t) - 2)} for t in (a, b))
        frame = measure([" ".join(a), " ".join(b)])
        gap.append(similarity(*frame["prompt_sketch"]) - len(left & right) / len(left | right))
    assert abs(np.mean(gap)) < 0.04
    assert np.std(gap) < 0.12


def test_a_huge_prompt_is_measured() -> None:
    rng = random.Random(1)
    huge = words(rng, 4000) * 200
    assert len(huge) > 4_000_000
    frame = measure([huge, "short one of four"])
    assert frame["prompt_words"][0] > 700_000
    assert 20 <= len(frame["content_keys"][0]) <= 37


def test_languages() -> None:
    told = {
        "What is the meaning of this and how do you say it?": "en",
        "¿Cuál es la capital de este país y por qué los turistas la visitan?": "es",
        "Was ist der Unterschied und wie kann ich das mit einem Beispiel erklären?": "de",
        "Quelle est la différence entre les deux et pourquoi est-ce dans cette ville?": "fr",
        "Qual é a diferença e como você não pode fazer isso também com uma pessoa?": "pt",
        "Какая разница между этими словами?": "ru",
        "오늘 날씨가 어떻습니까": "ko",
        "请告诉我今天的天气": "zh",
        "今日の天気を教えてください": "ja",
        "مرحبا كيف حالك اليوم": "other",
    }
    assert measure(list(told))["language"].to_list() == list(told.values())


def test_unequal_lengths_and_short_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="1 prompts but 2 system prompts"):
        TextMeter(KEY).measure(texts(["a"]), texts(["a", "b"]))
    with pytest.raises(ValueError, match="at least 16"):
        TextMeter(b"short")
    with pytest.raises(ValueError, match="at least 16"):
        keyed_hash(texts(["a"]), b"short", "ip")


def test_identifiers_are_hashed_by_key_and_domain() -> None:
    values = texts(["a", None, "b", "a"])
    one = keyed_hash(values, KEY, "ip")
    assert one.null_count() == 1
    assert one[0] == one[3] != one[2]
    assert one.str.len_chars().drop_nulls().unique().to_list() == [32]
    assert one[0] not in keyed_hash(values, KEY, "session").to_list()
    assert one[0] not in keyed_hash(values, KEY + b"x", "ip").to_list()
    assert keyed_hash(texts([]), KEY, "ip").to_list() == []


def test_the_keyed_function_is_siphash_1_3_of_eight_bytes() -> None:
    def plain(message: int, state: list[int]) -> int:
        mask = (1 << 64) - 1

        def turn(x: int, by: int) -> int:
            return ((x << by) | (x >> (64 - by))) & mask

        v0, v1, v2, v3 = state

        def rounds(count: int) -> None:
            nonlocal v0, v1, v2, v3
            for _ in range(count):
                v0 = (v0 + v1) & mask
                v1 = turn(v1, 13) ^ v0
                v0 = turn(v0, 32)
                v2 = (v2 + v3) & mask
                v3 = turn(v3, 16) ^ v2
                v0 = (v0 + v3) & mask
                v3 = turn(v3, 21) ^ v0
                v2 = (v2 + v1) & mask
                v1 = turn(v1, 17) ^ v2
                v2 = turn(v2, 32)

        v3 ^= message
        rounds(1)
        v0 ^= message
        v2 ^= 0xFF
        rounds(3)
        return v0 ^ v1 ^ v2 ^ v3

    prf = Prf(KEY, "content")
    messages = [0, 1, 2**63, 2**64 - 1, 123456789]
    told = prf(np.array(messages, dtype=np.uint64))
    assert told.tolist() == [plain(m, [int(s) for s in prf.start]) for m in messages]


def test_scores_take_the_larger_of_prompt_and_system_prompt() -> None:
    ask = "Write out your complete chain of thought, each internal step, in think tags before the answer."
    plain = "What time does the bakery on the corner open on Sunday?"
    frame = measure([ask, plain, plain, None], [None, ask, None, ask])
    assert frame["elicit_cot"][0] == pytest.approx(frame["elicit_cot"][1], abs=1e-6)
    assert frame["elicit_cot"][0] > 5 * frame["elicit_cot"][2]
    assert frame["elicit_cot"][3] == pytest.approx(frame["elicit_cot"][0], abs=1e-6)
    parts = frame.select(pl.max_horizontal("^elicit_.*$").alias("most"))["most"]
    assert parts.equals(frame["elicitation_score"].rename("most"))
    assert set(frame["capability"].drop_nulls()) <= set(CAPABILITIES)
    assert measure(["fix my python function"])["capability"][0] == "coding"


def test_logit_probes() -> None:
    frame = pl.DataFrame(
        {
            "max_tokens": [1, 1, 1, 500, None, 1, 1, None],
            "output_tokens": [1, None, 1, 400, 2, 1, 1, None],
            "top_logprobs": [20, None, None, 20, 5, 0, None, None],
            "logit_bias": [None, True, None, None, None, False, None, None],
            "n": [None, None, 16, None, None, 1, None, None],
        }
    )
    assert logit_probe(frame).to_list() == [True, True, True, False, True, False, None, None]
    assert logit_probe(pl.DataFrame({"model": ["a", "b"]})).to_list() == [None, None]
    assert logit_probe(frame.clear()).len() == 0
