"""Words must be true, carry their numbers, and hold for plug-ins nobody here has heard of."""

from __future__ import annotations

import math
import re
from typing import Any

import duckdb
import pytest

from detector.alert.evidence import only_spoofable, weigh
from detector.alert.honest import causes, explanations, queryable
from detector.alert.phrases import amount, held, measured, probability, share, span
from detector.alert.words import KINDS, cleared_by, describe, from_bits, odds_bits
from detector.decide.contributions import CONTRIBUTIONS
from detector.lake import tables
from detector.score.terms import COMPUTED
from features import plugins

HOSTILE = "\x1b[2J<script>alert(1)</script>\u202egnp.exe'; DROP TABLE x; --[bold]=1+1"


def piece(account: str, kind: str = "card", key: int = 1, **changes: Any) -> dict[str, Any]:
    row = {
        "account_id": account,
        "family": "billing",
        "kind": kind,
        "key": key,
        "bits": 6.0,
        "n_sharing": None,
        "spoofable": False,
        "detail": None,
    }
    return row | changes


def part(name: str, bits: float | None, value: float | None = 0.5, n: int | None = 40) -> dict[str, Any]:
    return {"feature": name, "bits": bits, "value": value, "n": n}


def group(**changes: Any) -> dict[str, Any]:
    row = {"group_id": "g-1", "score": 0.9, "kind": "distillation", "n_accounts": 5, "n_requests": 2500}
    return row | changes


def test_evidence_is_counted_by_kind_not_by_row() -> None:
    why = [piece(f"u{i}", key=i % 3) for i in range(412)]
    why += why  # the same rows of another day
    (paid,) = weigh(why, 430)
    assert (paid.n_members, paid.n_keys, paid.n_open_keys) == (412, 3, 0)
    assert paid.bits == pytest.approx(6 * 412 / 430)
    assert paid.sentence(430) == "412 of 430 accounts paid with 3 cards or bank accounts"


def test_a_sentence_says_when_outsiders_hold_the_key_too() -> None:
    why = [piece("a", key=1, n_sharing=2), piece("b", key=1, n_sharing=2), piece("b", key=2, n_sharing=9)]
    (paid,) = weigh(why, 2)
    assert paid.sentence(2) == (
        "All 2 accounts paid with 2 cards or bank accounts "
        "(1 of them also held by accounts outside the group)"
    )
    (one,) = weigh(why[2:], 1)
    assert one.sentence(1) == "It paid with one card or bank account that 9 accounts hold in all"


def test_only_spoofable_finds_possible_victims() -> None:
    why = [
        piece("solid"),
        piece("solid", spoofable=True),
        piece("victim", spoofable=True),
        piece("zero", bits=0.0),
        piece("victim2", spoofable=True),
        piece("victim2", bits=0.0),
    ]
    assert only_spoofable(why) == 2


def test_a_group_is_described_strongest_first_with_numbers() -> None:
    why = [piece(f"u{i}", key=i % 2) for i in range(4)]
    why += [piece(f"u{i}", "template", 7, family="content", spoofable=True, bits=2.0) for i in range(5)]
    told = describe(
        group(),
        [part("hour_coactivity", 3.0, 0.93), part("night_share", -1.5, 0.004), part("quiet", 0.05)],
        why,
        threshold=0.5,
    )
    assert (
        told.title == "Distillation: 5 accounts that act as one operation, 2,500 requests (probability 0.90)"
    )
    assert [r.split()[0] for r in told.reasons] == ["4", "Chance", "All"]
    assert told.reasons[1] == (
        "Chance that another member works in an hour a member works: hour_coactivity 0.93 "
        "(added 3.0 bits, from 40 observations)"
    )
    assert told.against == (
        "Requests in the account's own quietest eight hours: "
        "night_share under 1 % (took away 1.5 bits, from 40 observations)",
    )
    assert told.families == ("billing", "content")
    assert len(told.spoofable) == 2
    assert told.spoofable[1].startswith("1 account is tied to the group by such evidence alone")
    assert any("one card" in text for text in told.innocent)
    assert any("benchmark" in text for text in told.innocent)


def test_unknown_parts_and_kinds_get_a_true_plain_sentence() -> None:
    why = [piece("a", "zorble_id", family="telepathy"), piece("b", "zorble_id", family="telepathy")]
    told = describe(group(n_accounts=2), [part("qzx_index", 2.1, None, None)], why, threshold=0.5)
    assert told.reasons == (
        "All 2 accounts shared one key (zorble id)",
        "qzx_index not measured added 2.1 bits",
    )
    assert held("zorble_id", "network").many == "network keys (zorble id)"


def test_every_measurement_has_words() -> None:
    columns = (*plugins.columns("account"), *plugins.columns("group"), *COMPUTED, *CONTRIBUTIONS)
    for column in columns:
        (told,) = describe(
            {"account_id": "u", "score": 0.9}, [part(column.name, 1.0), part("small", 0.2)], [], threshold=0.5
        ).reasons or ("",)
        assert (column.name in told) == (column.name not in ("base_rate", "small"))


def test_hostile_names_come_out_harmless_everywhere() -> None:
    why = [piece(HOSTILE, HOSTILE, family=HOSTILE, detail=HOSTILE, spoofable=True), piece("b", HOSTILE)]
    for subject in (group(kind=HOSTILE), {"account_id": HOSTILE, "score": 0.9, "kind": HOSTILE}):
        told = describe(subject, [part(HOSTILE, 3.0), part(HOSTILE, -3.0)], why, threshold=0.5)
        texts = [told.title, *told.reasons, *told.against, *told.spoofable, *told.innocent, *told.cleared_by]
        assert texts
        for text in texts:
            assert text.isprintable()
            assert "\u202e" not in text
            assert "DROP TABLE" not in text.partition("Check")[2]


def test_an_account_is_named_and_its_own_evidence_told() -> None:
    told = describe(
        {"account_id": "acct_7", "score": 0.999, "kind": "logit_extraction", "score_bits": 9.9},
        [part("logit_probe_share", 8.0, 0.995)],
        [],
        threshold=0.5,
    )
    assert told.title == "Extraction of token probabilities: account acct_7 (probability over 0.99)"
    assert "over 99 %" in told.reasons[0]
    assert "Calibration research" in told.innocent[0]
    assert told.spoofable == ()


def test_cleared_by_names_each_part_that_suffices() -> None:
    subject = group(score=0.9, score_bits=odds_bits(0.9))  # 3.17 bits over even odds
    told = cleared_by(subject, [part("a", 4.0), part("b", 3.3), part("c", 1.0), part("d", -9.0)], 0.5)
    assert len(told) == 2
    assert told[0].startswith("Without a (4.0 bits) the probability is 0.36")
    assert told[1].startswith("Without b (3.3 bits) the probability is 0.48")


def test_cleared_by_names_the_smallest_set_when_no_single_part_suffices() -> None:
    subject = group(score=0.99, score_bits=6.6)
    parts = [part("a", 2.0), part("b", 3.0), part("c", 2.5), part("d", 0.5)]
    (told,) = cleared_by(subject, parts, 0.5)
    assert "b (3.0 bits), c (2.5 bits), a (2.0 bits)" in told
    assert "d (" not in told
    (hopeless,) = cleared_by(subject, parts[3:], 0.5)
    assert "No set" in hopeless
    assert cleared_by(group(score=0.4, score_bits=None), parts, 0.5) == ()
    assert cleared_by({"group_id": "g", "n_accounts": 2}, parts, 0.5), "with no score the parts are summed"
    assert cleared_by(group(score=1.0), parts, 0.5)[0].startswith("No set")


def test_log_odds_there_and_back() -> None:
    for p in (1e-9, 0.01, 0.5, 0.73, 0.999999):
        assert from_bits(odds_bits(p)) == pytest.approx(p)
    assert odds_bits(0.5) == 0
    assert (odds_bits(0), odds_bits(1)) == (-math.inf, math.inf)
    assert from_bits(-math.inf) == pytest.approx(0)
    assert from_bits(math.inf) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("n_requests", 12345.0, "12,345"),
        ("night_share", 0.25, "25 %"),
        ("night_share", 0.0, "0 %"),
        ("night_share", 0.999, "over 99 %"),
        ("night_share", 1.0, "100 %"),
        ("gap_ms", 1500.0, "1.5 s"),
        ("rest_s", 7200.0, "2.0 hours"),
        ("rest_s", 0.02, "20 ms"),
        ("entropy_bits", 2.345, "2.3 bits"),
        ("x_score", 0.004, "0.004"),
        ("x", None, "not measured"),
        ("x", float("nan"), "not measured"),
        ("x_share", float("inf"), "beyond measure"),
    ],
)
def test_amounts_follow_the_unit_in_the_name(name: str, value: float | None, shown: str) -> None:
    assert amount(name, value) == shown


def test_certainty_is_never_claimed() -> None:
    assert probability(1.0) == probability(0.9951) == "over 0.99"
    assert probability(0.0) == "under 0.01"
    assert (share(0.0001), share(0.9999)) == ("under 1 %", "over 99 %")
    assert span(3 * 86400) == "3.0 days"


def test_words_are_those_of_the_declaration_and_of_nothing_else() -> None:
    assert measured("elicit_grading_share") == "requests of kind grading"
    assert measured("suspect_share") == "members whose own conduct stands out"
    assert measured("elicit_grading_other") is None
    assert held("card", "billing").many == "cards or bank accounts"
    assert held("card_of_another_plug_in", "billing").one == "billing key (card of another plug in)"


def test_every_check_runs_on_the_tables_as_declared() -> None:
    con = duckdb.connect()
    try:
        for table in tables.tables().values():
            columns = ", ".join(f'"{c.name}" {c.type}' for c in table.columns)
            con.execute(f'CREATE TABLE "{table.name}" ({columns})').fetchall()
        con.execute("INSERT INTO group_members (group_id, account_id) VALUES ('g-1', 'u1')").fetchall()
        con.execute(
            "INSERT INTO requests (account_id, ip_prefix) "
            "VALUES ('u1', '192.0.2.0/24'), ('u2', '192.0.2.0/24')"
        ).fetchall()
        seen = 0
        for subject_type, subject_id in (("group", "g-1"), ("account", "u1")):
            for topic in causes(subject_type):
                for text in explanations(subject_type, subject_id, topic, []):
                    query = text.partition("Check: ")[2]
                    rows = con.execute(query).fetchall()
                    seen += 1
                    if subject_type == "group" and topic == "network":
                        assert rows == [("192.0.2.0/24", 1, 1)]
        assert seen == len(causes("group")) + len(causes("account"))
    finally:
        con.close()


def test_every_kind_of_abuse_has_an_honest_explanation() -> None:
    for kind in KINDS:
        for subject_type in ("group", "account"):
            assert explanations(subject_type, "x", kind, ["no such family"])
    both = explanations("group", "x", "distillation", ["content", "network", "content"])
    assert len(both) == 3


@pytest.mark.parametrize(
    "odd", ["a'b", "a b", "", "-x", "é", "x" * 200, "a;b", 'a"b', "a\nb", "{id}", "a\u202eb"]
)
def test_an_odd_id_never_enters_a_query(odd: str) -> None:
    assert queryable(odd) == "?"
    (text,) = explanations("account", odd, "key_compromise", [])
    assert "account_id = ? " in text
    assert re.search(r"\? is the id of the account", text)
    assert queryable("acct_1:key@x.example") == "'acct_1:key@x.example'"


def test_neighbours_bring_their_honest_explanations_and_what_could_be_spoofed() -> None:
    parts = [
        part("group_contribution_bits", 4.0), part("neighbours_network_1", 1.5), part("neighbours_network_3", 0.5),
        part("neighbours_client_1", 0.9),
        part("neighbours_billing_1", -0.8),
    ]  # fmt: skip
    told = describe({"account_id": "a", "score": 0.97, "kind": "distillation"}, parts, [], threshold=0.9)
    assert told.families == ("network", "client")
    assert any("exit" in words for words in told.innocent)
    (spoofable,) = told.spoofable
    assert "neighbours_client_1" in spoofable
    assert any("the most telling address or network it shares" in words for words in told.reasons)
