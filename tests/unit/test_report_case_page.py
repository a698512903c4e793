"""The page of a case: one file that loads nothing, shows what the case holds, and stays inert whatever the log held."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
import pytest
from test_alert_casefile import account_case, group_case, hostile_case, member, tied_case, why

from detector.alert.casefile import CaseFile, explain
from detector.report import pages
from detector.report.case_page import render_page

D = date(2026, 3, 1)
HOSTILE_NAMES = {
    "a template": "{{7*7}}{% raw %}${7*7}#{7*7}{{ self.__init__.__globals__ }}",
    "an element": "</style></svg><script>alert(1)</script><img src=x onerror=alert(2)>",
    "an attribute": "\" onmouseover='alert(3)' style=\"x:y",
    "a policy": '<meta http-equiv="Content-Security-Policy" content="script-src *">',
    "an override": "moc.knab\u202egpj\u2066\u200b\U000e0041",
    "an escape": "\x1b]8;;https://example.net\x1b\\\x00\x85",
    "an entity": "&lt;b&gt;&#0;&amp;",
    "an expression": "datum.value || toString.constructor('alert(1)')()",
}
DRAWN = {"svg", "g", "path", "line", "text", "rect", "circle", "tspan"}
WRITTEN = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "header", "h1", "h2", "p", "ul", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "div", "span", "code", "dl", "dt", "dd", "small"),
    *("figure", "figcaption"),
}  # fmt: skip


class Reader(HTMLParser):
    """Collects what a browser would act upon."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self.decl: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_decl(self, decl: str) -> None:
        self.decl.append(decl)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def case_named(name: str) -> CaseFile:
    """A case in which everything that a log can name is called ``name``."""
    parts = [{"feature": f"{name}{i}", "value": 0.4, "bits": 2.0 - i, "n": 3} for i in range(20)]
    return explain(
        {"group_id": name, "n_accounts": 3, "score": 0.9, "kind": name, "verdict": name, "state": name},
        parts=parts,
        why=[
            *(
                why(holder, kind=name, family=name, detail=name, key=name, spoofable=True)
                for holder in (name, "b")
            ),
            why("b"),
        ],
        members=[member(1, account_id=name, state=name), member(2, account_id="b")],
        alerts=[{"alert_id": name, "version": 1, "opened_day": D, "updated_day": D, "closed_day": D}],
        allowed=[
            {"account_id": name, "by": name, "name": name, "until": D, "reason": name, "state": "acting"}
        ],
        history=[{**part, "day": D + timedelta(day)} for part in parts for day in range(3)],
        threshold=0.5,
    )


def assert_inert(page: str) -> Reader:
    seen = read(page)
    assert set(seen.tags) <= WRITTEN | DRAWN
    names = {name for tag, name, _ in seen.attributes if tag not in DRAWN}
    assert names <= {"charset", "http-equiv", "content", "name", "lang", "class", "scope"}
    assert not [name for _, name, _ in seen.attributes if name.startswith("on")]
    drawn = {name for tag, name, _ in seen.attributes if tag in DRAWN}
    assert not drawn & {"style", "href", "xlink:href", "src", "id", "filter", "mask", "clip-path"}
    assert not [value for _, _, value in seen.attributes if value and "url(" in value]
    policies = [pair for pair in seen.attributes if pair[1] == "http-equiv"]
    assert policies == [("meta", "http-equiv", "Content-Security-Policy")]
    assert ("meta", "content", pages.POLICY) in seen.attributes[:4]
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert all(c == "\n" or c.isprintable() for c in page)
    assert "http://" not in page
    return seen


@pytest.mark.parametrize(
    "case",
    [group_case(), account_case(), hostile_case(), tied_case()],
    ids=["group", "account", "hostile", "tied"],
)
def test_the_page_is_inert_and_self_contained(case: CaseFile) -> None:
    assert "default-src 'none'; style-src 'unsafe-inline'" in pages.POLICY
    assert_inert(render_page(case))


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES.keys())
def test_no_name_is_obeyed(name: str) -> None:
    # Not a plain id either: a query then asks for the id, whatever it is.
    plain = assert_inert(render_page(case_named("an odd name")))
    seen = assert_inert(render_page(case_named(name)))
    assert seen.tags == plain.tags, (
        "the same elements, whatever a group, key, member or measurement is called"
    )
    text = "".join(seen.text)
    assert "49" not in text.replace("+49", "")
    assert "\\u202e" in text or "\u202e" not in name


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES.keys())
def test_no_name_in_a_chain_is_obeyed(name: str) -> None:
    group = [
        why(holder, kind=name, family=name, detail=name, key=name, group_id=name) for holder in (name, "b")
    ]
    case = explain(
        {"account_id": name, "score": 0.9}, parts=[], why=group[:1], group_why=group, threshold=0.5
    )
    assert case.ties is not None
    assert case.ties.chains
    text = "".join(assert_inert(render_page(case)).text)
    assert "\\u202e" in text or "\u202e" not in name


def test_a_template_in_a_name_is_text() -> None:
    text = "".join(read(render_page(case_named("{{7*7}}"))).text)
    assert text.count("{{7*7}}") > 20


def test_the_page_shows_what_the_case_holds() -> None:
    text = " ".join(read(render_page(group_case())).text)
    for wanted in (
        *("40 accounts", "u039", "synchrony_score", "Without synchrony_score", "How to appeal", "+4.0"),
        *("30 of 40", "could have been spoofed", "Honest explanations to rule out", "not proof of"),
        *("10 accounts are tied to the group by such evidence alone", "7 accounts: banned", "an alert needs 0.50"),
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "&lt;script&gt;" in render_page(hostile_case())


def test_the_page_shows_what_connects_the_accounts() -> None:
    text = " ".join(" ".join(read(render_page(group_case())).text).split())
    for wanted in (
        "What connects the accounts By 2 keys that they share",
        "Keys that are enough to connect them",
        "u000, u001, u002, u003, u004, u005 and 34 more",
        "Keys that much rests on",
        "30 of 40",
    ):
        assert wanted in text, wanted
    assert "What ties it to its group" not in text
    account = " ".join(read(render_page(tied_case())).text)
    assert "What ties it to its group" in account
    assert "What connects the accounts" not in account


def test_the_waterfall_ends_at_the_score_and_days_are_drawn_where_there_are_two() -> None:
    parts = [
        {"feature": p, "bits": b, "value": 1.0, "n": 9} for p, b in (("base_rate", -9.0), ("x_share", 12.5))
    ]
    history = [{**part, "day": D + timedelta(i)} for i in range(2) for part in parts]
    case = group_case(parts=parts, history=history)
    assert [(d.day, d.score_bits) for d in case.daily] == [(D, 3.5), (D + timedelta(1), 3.5)]
    page = render_page(case)
    assert page.count("<svg ") == 2
    assert "2 contributions add up to +3.5 bits" in page
    assert "Score by day" not in render_page(group_case(parts=parts, history=history[:2]))
    assert "<svg" not in render_page(group_case(parts=[]))


def test_a_threshold_of_certainty_draws_no_line() -> None:
    page = render_page(group_case(threshold=1.0))
    assert "dashed line" not in page
    assert "dashed line" in render_page(group_case())


def test_the_page_caps_its_members_and_counts_the_rest() -> None:
    page = render_page(group_case(members=[member(i) for i in range(2500)], subject={"n_accounts": 2500}))
    assert "and 500 more in the lake" in page
    assert len(page) < 2_000_000


def test_an_empty_case_still_renders() -> None:
    assert_inert(
        render_page(explain({"group_id": "g-2", "n_accounts": None}, parts=[], why=[], threshold=0.5))
    )


def test_a_page_is_the_same_twice() -> None:
    assert render_page(group_case()) == render_page(group_case())


def test_what_a_template_prints_is_escaped_and_spelled_out(tmp_path: Path) -> None:
    shown = (
        pages._environment("detector.report")
        .from_string("<p title='{{ v }}'>{{ v }}</p>")
        .render(v="'<\u202e\n")
    )
    assert shown == "<p title='&#39;&lt;\\u202e\n'>&#39;&lt;\\u202e\n</p>"
    with pytest.raises(jinja2.UndefinedError):
        pages.render("case.html.j2", case=None)


def templates() -> list[Path]:
    return sorted((Path(__file__).parents[2] / "detector").rglob("*.j2"))


def test_no_template_turns_the_escaping_off() -> None:
    assert len(templates()) > 1
    for path in templates():
        told: Any = re.search(
            r"\|\s*safe\b|autoescape|Markup|forceescape|<script|<link|https?:", path.read_text()
        )
        assert told is None, f"{path.name}: {told and told[0]}"
