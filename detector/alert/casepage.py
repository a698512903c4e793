"""Writes a case file as one HTML file that can be mailed and archived: no script, nothing fetched.

Every value passes ``tag``, which escapes whatever is not itself made by ``tag``; the page also forbids,
by its content policy, all that an escape forgotten somewhere could do.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from detector.alert.casefile import CaseFile
from detector.alert.phrases import count, probability

#: Members in the page: more than a browser shows gladly; the lake holds all.
MAX_MEMBERS = 2000

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bar: #b5482a; --good: #2a7ab5; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, td.id { font-family: ui-monospace, monospace; overflow-wrap: anywhere; unicode-bidi: isolate; }
.scroll { overflow-x: auto; } .note { border-left: 3px solid var(--line); padding-left: 1rem; }
.bar { display: block; height: .6rem; background: var(--bar); } .bar.minus { background: var(--good); }
li { overflow-wrap: anywhere; }
"""


class Html(str):
    """Text that is HTML already: only ``tag`` and ``page`` make it."""

    __slots__ = ()


def tag(name: str, *children: str | Html, **attributes: str) -> Html:
    """One element. Children and attribute values that are not ``Html`` are escaped.

    ``class_`` becomes ``class``, as Python keeps that word.
    """
    inner = "".join(c if isinstance(c, Html) else html.escape(str(c)) for c in children)
    settings = "".join(
        f' {key.rstrip("_")}="{html.escape(str(value))}"' for key, value in sorted(attributes.items())
    )
    return Html(f"<{name}{settings}>{inner}</{name}>")


def render_page(case: CaseFile) -> str:
    """The case file as one self-contained HTML document."""
    words = case.description
    body = tag(
        "main",
        tag("h1", words.title),
        _facts(case),
        _listed("On the allow-list", [a.sentence() for a in case.allowed]),
        _listed("Why, strongest first", words.reasons),
        _listed("What spoke against it", words.against),
        _listed("What would have cleared it", words.cleared_by),
        _listed("What could have been spoofed", words.spoofable),
        _listed("Honest explanations to rule out", words.innocent),
        _evidence(case),
        _parts(case),
        _timeline(case),
        _members(case),
        _section("What this is not proof of", tag("p", case.not_proof, class_="note")),
        _section("How to check", tag("p", case.how_to_check)),
        _section("How to appeal", tag("p", case.how_to_appeal)),
    )
    head = "".join(
        (
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            tag("title", f"hydrawatch: {case.subject_type} {case.subject_id}"),
            f"<style>{_STYLE}</style>",
        )
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _section(title: str, *content: Html) -> Html:
    return tag("section", tag("h2", title), *content)


def _listed(title: str, lines: Sequence[str]) -> Html:
    if not lines:
        return Html("")
    return _section(title, tag("ul", *(tag("li", line) for line in lines)))


def _rows(header: Sequence[str], rows: Sequence[Html]) -> Html:
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in header)))
    return tag("div", tag("table", head, tag("tbody", *rows)), class_="scroll")


def _number(text: str) -> Html:
    return tag("td", text, class_="number")


def _facts(case: CaseFile) -> Html:
    facts = [
        ("Subject", f"{case.subject_type} {case.subject_id}"),
        ("Kind", case.kind),
        ("Verdict", f"{case.verdict} {case.state}".strip()),
        ("Probability", f"{probability(case.score)} (an alert needs {probability(case.threshold)})"),
        ("Size", count(case.n_accounts, "account", "accounts")),
    ]
    if case.n_requests is not None:
        facts.append(("Requests", f"{case.n_requests:,}"))
    if case.alerts:
        facts.append(("Alerts", ", ".join(case.alerts)))
    return tag("table", *(tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in facts))


def _evidence(case: CaseFile) -> Html:
    rows = [
        tag(
            "tr",
            tag("td", family),
            tag("td", e.kind),
            _number(f"{e.n_members:,} of {max(case.n_accounts, e.n_members):,}"),
            _number(f"{e.n_keys:,}"),
            _number(f"{e.n_open_keys:,}"),
            _number(f"{e.bits:.1f}"),
            tag("td", "yes" if e.spoofable else "no"),
            tag("td", "; ".join(e.labels)),
        )
        for family, kinds in case.by_family().items()
        for e in kinds
    ]
    if not rows:
        return Html("")
    header = ("Family", "Kind", "Accounts", "Keys", "Also outside", "Bits (mean)", "Spoofable", "Labels")
    return _section("Evidence that ties the accounts, by family", _rows(header, rows))


def _parts(case: CaseFile) -> Html:
    if not case.parts:
        return Html("")
    longest = max(abs(p.bits) for p in case.parts) or 1.0
    rows = [
        tag(
            "tr",
            tag("td", tag("code", p.name)),
            tag("td", p.meaning),
            _number(p.shown),
            _number("" if p.n is None else f"{p.n:,}"),
            _number(f"{p.bits:+.1f}"),
            tag("td", _bar(p.bits, longest), style="width:20%"),
        )
        for p in case.parts
    ]
    rows.append(
        tag(
            "tr",
            tag("th", "score"),
            tag("td", "all contributions together, and as a probability"),
            _number(probability(case.summed)),
            _number(""),
            _number(f"{case.summed_bits:+.1f}"),
            tag("td", ""),
        )
    )
    return _section(
        case.contributions_title(), _rows(("Contribution", "Measures", "Value", "n", "Bits", ""), rows)
    )


def _bar(bits: float, longest: float) -> Html:
    width = f"width:{100 * abs(bits) / longest:.0f}%"
    return tag("span", class_="bar" if bits >= 0 else "bar minus", style=width)


def _timeline(case: CaseFile) -> Html:
    if not case.timeline:
        return Html("")
    rows = [tag("tr", tag("td", str(m.when)), tag("td", m.what)) for m in case.timeline]
    return _section("Timeline", _rows(("Day", "What happened"), rows))


def _members(case: CaseFile) -> Html:
    if not case.members:
        return Html("")
    rows = [
        tag(
            "tr",
            tag("td", m.account_id, class_="id"),
            tag("td", str(m.first_day or "")),
            tag("td", str(m.last_day or "")),
            tag("td", m.state),
            _number("" if m.strength_bits is None else f"{m.strength_bits:.1f}"),
            tag("td", ", ".join(m.families)),
        )
        for m in case.members[:MAX_MEMBERS]
    ]
    table = _rows(("Account", "First day", "Last day", "State", "Bits", "Evidence"), rows)
    left = len(case.members) - MAX_MEMBERS
    more = tag("p", f"and {left:,} more in the lake") if left > 0 else Html("")
    return _section(f"Members ({len(case.members):,}, most strongly tied first)", table, more)
