"""One word for one thing: the words that docs/glossary.md replaced do not come back.

A former word is a pattern; what may still match it is listed beside it, as the text around it, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from doc_pages import ROOT, TEXT

#: Not read: history, the list of former words, this list, and text that people or models are said to have written.
NOT_READ = (
    "CHANGELOG.md",
    "docs/glossary.md",
    "docs/decisions/0020-the-words-of-the-field.md",
    "tests/house/test_glossary.py",
    "detector/lab/worlds/phrases/",
    "detector/lab/training/text_",
    "tests/golden/",
    # What files of earlier versions call things.
    "detector/lake/migration/",
    "detector/score/older.py",
    "tests/flow/test_migration.py",
    "tests/unit/test_lake_migration.py",
    "tests/unit/test_score_additive.py",
)


@dataclass(frozen=True)
class Former:
    """A word of before: ``word`` finds it, ``now`` is its replacement, ``but`` what is no use of it and why."""

    word: str
    now: str
    but: Mapping[str, str] = field(default_factory=dict)
    only: str = ""


FORMER = (
    Former(
        r"\b(lent|lends?|lending)\b", "group contribution", {r'^ +"lend",$': "a verb of an invented text"}
    ),
    # In attribution a related model is kin: its lists of classes are files that users write, with that key.
    Former(
        r"\b(kin|kinship)\b",
        "neighbours, relational",
        only=r"(?!detector/attribution/|tests/unit/test_attribution_|docs/attribution)",
    ),
    Former(
        r"(?<![a-z])company(?![a-z])",
        "neighbours",
        only=r"detector/(score|decide|link|pipeline|lab/training|lab/benchmark)/"
        r"|tests/unit/test_(score|decide|link|training)_",
    ),
    # Elsewhere a company is a firm, which honest explanations name.
    Former(
        r"\bcompany (he|it|they|she) keeps?\b|\b(in|his|its|keeps) company\b",
        "neighbours",
    ),
    Former(
        r"\bcircles?\b",
        "ring",
        {r"day taken as a circle": "the clock", r"</?circle|\"circle\"": "an element of SVG"},
    ),
    Former(r"\bfirm\b", "unspoofable"),
    Former(r"\bplant(ed|able|s|ing)?\b", "spoofable, spoof"),
    Former(r"\bbelonging\b", "membership probability"),
    Former(r"\blikeness\b", "similarity", {r"was `likeness`, `company`": "what an upgrade renames"}),
    Former(
        r"\brungs?\b",
        "evasion level",
        {r"--rungs?\b": "alias of --evasion-level until 0.3"},
    ),
    Former(r"\bdoors?\b", "ingest, pathway"),
    Former(r"\binto hands\b|\b(smaller|larger|other) hands\b|\bhands? of (holders|accounts)\b", "bucket"),
    Former(
        r"\b(un)?doubt(s|ed|ful)?\b",
        "discount",
        only=r"detector/(score|decide|link|pipeline)/|tests/unit/test_(score|decide|link)_|docs/|README",
    ),
    Former(
        r"\bstanding\b",
        "score fusion",
        only=r"detector/(score|decide|lab/training)/|tests/unit/test_(score|decide)_",
    ),
    Former(r"\bbystanders?\b|\bswept in\b", "false member"),
    Former(r"\b(let|lets|letting) go\b", "pruned"),
    Former(
        r"\blone\b",
        "single-account, on its own",
        {r"lone (\\ud800 )?surrogates?": "Unicode's word", r"lone letter": "one letter between others"},
    ),
    Former(r"\balone (bits|slope|score)\b", "conduct, without_group"),
    Former(r"\bholdings\b|\ba holding\b", "incidence"),
    Former(r"\bmade worlds?\b|\bworld[ -]makers?\b", "synthetic world, world generator"),
    Former(r"\bworst of (its|his|their) li(fe|ves)\b", "peak score"),
    Former(r"\bcarry[- ]over\b", "cluster tracking"),
    Former(
        r"\bscore parts\b|\bparts of (a|the|its|every|each) score\b",
        "contributions",
        {r"^## score_parts$|`score_parts(\.part)?`": "the former table"},
    ),
)


def texts() -> Iterator[tuple[str, str]]:
    """(path, text) of every file that is held to the glossary."""
    yield from ((name, text) for name, text in TEXT.items() if not name.startswith(NOT_READ))
    for top in ("detector", "features", "rules", "benchmarks", "tests"):
        for path in sorted([*(ROOT / top).rglob("*.py"), *(ROOT / top).rglob("*.j2")]):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(NOT_READ):
                yield name, path.read_text(encoding="utf-8")
    for extra in ("Makefile", "hydrawatch.py", "sample_logs/README.md", "rules/models/detector.md"):
        yield extra, (ROOT / extra).read_text(encoding="utf-8")


def found(former: Former) -> list[str]:
    word = re.compile(former.word, re.IGNORECASE)
    spared = [re.compile(pattern, re.IGNORECASE) for pattern in former.but]
    lines = []
    for name, text in texts():
        if former.only and not re.match(former.only, name):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"\balias of\b", line):  # a former column, still a view for one version
                continue
            rest = line
            for pattern in spared:
                rest = pattern.sub("", rest)
            if word.search(rest.replace("_", " ")):
                lines.append(f"{name}:{number}: {line.strip()[:120]}")
    return lines


@pytest.mark.parametrize("former", FORMER, ids=lambda former: former.now.replace(", ", "|"))
def test_former_words_do_not_come_back(former: Former) -> None:
    hits = found(former)
    assert not hits, f"say {former.now} (docs/glossary.md):\n" + "\n".join(hits)


def test_every_exception_has_a_reason() -> None:
    assert all(reason for former in FORMER for reason in former.but.values())


def rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| term")
    ]


def test_every_term_is_defined_once() -> None:
    terms = [row[0] for row in rows()]
    assert len(terms) > 40
    assert len(set(terms)) == len(terms)
    assert all(len(row) == 4 and len(row[1]) > 15 for row in rows())


def test_prose_keeps_to_the_width_of_a_page() -> None:
    """Lines of at most 125 characters, tables and code aside."""
    for name, text in TEXT.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        for line in prose.splitlines():
            assert len(line) <= 125 or line.startswith("|"), f"{name}: {line}"
