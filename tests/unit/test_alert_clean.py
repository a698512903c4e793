"""Nothing an attacker names may steer a terminal, a browser or a reader."""

from __future__ import annotations

import random
import unicodedata

import pytest

from detector.alert.clean import clean, show_id


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("a\x1b]0;new title\x07b", "ab"),
        ("a\x1b]8;;https://example.net\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1b]0;never ends", "a"),
        ("reset\x1bc now", "reset now"),
        ("user\u202egpj.exe", "usergpj.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("tag\U000e0041s", "tags"),
        ("two\r\nlines\u2028three", "two lines three"),
        ("nul\x00\x08bell\x07", "nulbell"),
        ("Việt 数据 שלום", "Việt 数据 שלום"),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 3),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("=HYPERLINK(1)", "=HYPERLINK(1)"),
        ("   ", ""),
        (None, ""),
        (17, "17"),
    ],
)
def test_clean_drops_what_steers(raw: object, shown: str) -> None:
    assert clean(raw) == shown


def test_clean_caps_length_even_of_enormous_input() -> None:
    assert clean("x" * 10_000_000, 10) == "x" * 9 + "…"
    assert len(clean("ab " * 500, 200)) <= 200
    assert clean("exactly10!", 10) == "exactly10!"


def test_clean_of_random_characters_is_one_printable_line_and_stable() -> None:
    rng = random.Random(3)
    for _ in range(300):
        raw = "".join(chr(rng.choice((rng.randrange(0x300), rng.randrange(0x11_0000)))) for _ in range(60))
        shown = clean(raw, 50)
        assert len(shown) <= 50
        assert all(unicodedata.category(c)[0] != "C" for c in shown)
        assert not any(c in "\n\r\u2028\u2029" for c in shown)
        assert clean(shown, 50) == shown


def test_show_id_leaves_ordinary_ids_alone() -> None:
    for plain in ("acct_17", "org-9:key/3", "someone@example.com", "Größe 数 7", ""):
        assert show_id(plain) == plain


def test_show_id_spells_out_what_clean_would_drop() -> None:
    assert show_id("a\x1b[31mb") == r"a\x1b[31mb"
    assert show_id("a\u202eb") == r"a\u202eb"
    assert show_id("a\\x1bb") == r"a\\x1bb"
    assert show_id("a\ud800") == r"a\ud800"
    assert show_id("e\u0301") == r"e\u0301"


def test_show_id_never_lets_two_ids_look_alike() -> None:
    long = "x" * 500
    ids = ["a", "a\u200b", "a\u202e", "a\x00", "a\\x00", long, long + "y", long[:-1], "a\u00a0", "a "]
    shown = [show_id(i) for i in ids]
    assert len(set(shown)) == len(ids)
    assert all(len(s) <= 130 for s in shown)
    assert all(s.isprintable() for s in shown)
    # Escapes make an id longer: it is cut between them, never inside one.
    assert show_id("\u202e" * 100, 40).startswith("\\u202e" * 5 + "…#")
