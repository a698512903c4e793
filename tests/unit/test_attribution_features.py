"""Hashed grams, style, copies, folds and tables: what training stands on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detector.attribution.corpus import reading
from detector.attribution.fingerprint import copies, hashed, splits, style
from detector.attribution.fingerprint.vocabulary import Vocabulary
from detector.errors import ConfigError, LogError

TEXTS = [
    "It's a dog — “yes”.\n\n1. one, two; three!",
    "",
    None,
    "你好，世界。今天天气很好。",
    "a",
    "x" * 20_000,
    "smile \U0001f600 and \ud800 half a pair",
    "nul \0 inside",
]


def columns_of(counts: hashed.Counts, row: int) -> dict[int, int]:
    some = slice(counts.indptr[row], counts.indptr[row + 1])
    return dict(zip(counts.columns[some].tolist(), counts.counts[some].tolist(), strict=True))


def test_a_text_counts_the_same_alone_and_among_others() -> None:
    together = hashed.count_all(TEXTS * 3)
    for row, text in enumerate(TEXTS * 3):
        assert columns_of(together, row) == columns_of(hashed.count_all([text]), 0)


def test_passes_do_not_change_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hashed.count_all(TEXTS)
    monkeypatch.setattr(hashed, "PASS_BYTES", 64)
    cut = hashed.count_all(TEXTS)
    assert all(columns_of(whole, r) == columns_of(cut, r) for r in range(len(TEXTS)))


def test_null_and_empty_text_are_alike_and_hold_only_edges() -> None:
    counts = hashed.count_all(["", None])
    assert columns_of(counts, 0) == columns_of(counts, 1)
    assert sum(columns_of(counts, 0).values()) < 60


def tokens(text: str) -> int:
    data = np.frombuffer(b"\0\0\0\0 " + text.encode() + b" ", np.uint8)
    found, _ = hashed._tokens(data, data.astype(np.uint32), np.zeros(len(data), np.int64), 1)
    return len(found) - 4


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("one two", 2),
        ("don't stop", 2),
        ("a, b", 3),
        ("a\n\n\nb", 3),
        ("你好 ok", 3),
        ("wait — what", 3),
        ("“so”", 3),
        ("!!", 2),
        ("café au lait", 3),
        ("你好。", 3),
        ("", 0),
    ],
)
def test_tokens(text: str, n: int) -> None:
    assert tokens(text) == n


def test_case_and_punctuation_make_other_columns() -> None:
    counts = hashed.count_all(["Sure thing", "sure thing", "sure, thing"])
    rows = [set(columns_of(counts, r)) for r in range(3)]
    assert rows[0] != rows[1] != rows[2]


def test_vectors_have_unit_blocks_and_ignore_unknown_grams() -> None:
    counts = hashed.count_all(["alpha beta gamma"])
    vocabulary = Vocabulary(np.sort(counts.columns), np.ones(len(counts.columns), np.float32))
    pointers, positions, values = vocabulary.vectors(["alpha beta gamma", "", "ZZZZ"])
    first = slice(pointers[0], pointers[1])
    assert np.isclose((values[first] ** 2).sum(), 2.0, atol=1e-4)
    assert positions[first].max() < len(vocabulary)
    assert pointers[3] == len(values)


def test_vectors_do_not_depend_on_the_batch() -> None:
    texts = ["alpha beta gamma", "", "gamma gamma beta", "beta " * 30]
    counts = hashed.count_all(texts)
    columns = np.unique(counts.columns)
    vocabulary = Vocabulary(columns, np.linspace(1, 3, len(columns), dtype=np.float32))
    pointers, positions, values = vocabulary.vectors(texts)
    for row, text in enumerate(texts):
        alone = vocabulary.vectors([text])
        some = slice(pointers[row], pointers[row + 1])
        assert positions[some].tolist() == alone[1].tolist()
        assert np.allclose(values[some], alone[2])


def test_a_vocabulary_refuses_disorder() -> None:
    with pytest.raises(ValueError, match="sorted"):
        Vocabulary(np.array([5, 3], np.int32), np.ones(2, np.float32))
    with pytest.raises(ValueError, match="length"):
        Vocabulary(np.array([5], np.int32), np.ones(2, np.float32))


def test_style_is_finite_for_anything_and_one_row_a_text() -> None:
    values = style.measured([*TEXTS, "\n\n\n", "   ", "***", "?" * 50])
    assert values.shape == (len(TEXTS) + 4, len(style.COLUMNS))
    assert np.isfinite(values).all()
    assert style.measured([]).shape == (0, len(style.COLUMNS))


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("lines: dash bullet", "- a\n- b\nc\nd", 0.5),
        ("lines: heading 2", "## a\nb", 0.5),
        ("lines: numbered bold", "1. **a** b\n2. **c** d", 1.0),
        ("any: fence", "```\nx\n```", 1.0),
        ("lines: label", "Note: yes", 1.0),
        ("ends with a question", "really?", 1.0),
        ("one line only", "one line", 1.0),
    ],
)
def test_style_counts_what_it_says(column: str, text: str, value: float) -> None:
    assert style.measured([text])[0, style.COLUMNS.index(column)] == pytest.approx(value)


def test_stripped_leaves_no_markdown() -> None:
    text = "# Title\n\n* **bold** and `code`\n1. [a link](http://example.org)\n\n| a | b |\n|---|---|\n```py\nx\n```\n---\n"
    plain = copies.stripped(text)
    assert not set("#*`|[]\n") & set(plain)
    assert "bold and code" in plain
    assert "a link" in plain


def test_copies_are_seeded_and_never_fail() -> None:
    for change in (*copies.TRAINING.values(), *copies.ROBUSTNESS.values()):
        for text in TEXTS:
            assert change(text or "", 3) == change(text or "", 3)


def test_first_words_keeps_layout_and_cuts_text_without_blanks() -> None:
    assert copies.first_words("a\n\nb c d", 3) == "a\n\nb c"
    assert len(copies.first_words("好" * 5000, 50)) == 150


def test_folds_keep_groups_whole_whatever_the_order() -> None:
    groups = [f"p{i % 37}" for i in range(500)]
    folds = splits.folds_of(groups, 5)
    by_group = {g: {int(f) for g2, f in zip(groups, folds, strict=True) if g2 == g} for g in set(groups)}
    assert all(len(found) == 1 for found in by_group.values())
    turned = splits.folds_of(groups[::-1], 5)[::-1]
    assert (folds == turned).all()
    sizes = np.bincount([next(iter(v)) for v in by_group.values()])
    assert sizes.max() - sizes.min() <= 1
    with pytest.raises(ValueError, match="cannot be split"):
        splits.folds_of(["a", "a"], 2)


ROWS = [
    {"t": "first, with comma", "l": "m1", "g": 1},
    {"t": None, "l": "m2", "g": 1},
    {"t": 'line\nbreak "quoted"', "l": "m2", "g": 2},
    {"t": "", "l": "m1", "g": 2},
]


def write(path: Path) -> Path:
    name = path.name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif ".csv" in name:
        import csv
        import io

        out = io.StringIO()
        writer = csv.DictWriter(out, ["t", "l", "g"])
        writer.writeheader()
        writer.writerows(ROWS)
        path.write_bytes(
            gzip.compress(out.getvalue().encode()) if name.endswith("gz") else out.getvalue().encode()
        )
    else:
        body = "".join(json.dumps(r) + "\n" for r in ROWS).encode()
        if name.endswith(".json"):
            body = json.dumps(ROWS, indent=1).encode()
        path.write_bytes(gzip.compress(body, mtime=0) if name.endswith("gz") else body)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.json", "a.csv", "a.jsonl.gz", "a.csv.gz"])
def test_every_kind_of_table_reads_alike(tmp_path: Path, name: str) -> None:
    rows = [row for batch in reading.batches(write(tmp_path / name), ["t", "l", "g"], 3) for row in batch]
    assert [(r[0] or None, r[1], str(r[2])) for r in rows] == [
        (r["t"] or None, r["l"], str(r["g"])) for r in ROWS
    ]


def test_a_folder_is_read_in_name_order(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl")
    write(tmp_path / "a.csv")
    (tmp_path / "notes.txt").write_text("no table")
    assert [p.name for p in reading.files_of(tmp_path)] == ["a.csv", "b.jsonl"]
    assert sum(len(b) for b in reading.batches(tmp_path, ["t"])) == 8


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.json", "a.csv"])
def test_an_absent_column_is_named_with_those_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no column 'nope'") as caught:
        list(reading.batches(write(tmp_path / name), ["nope"]))
    assert "t" in str(caught.value.hint)


def test_broken_files_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "b.jsonl").write_text('{"t": 1}\n{"t": \n')
    (tmp_path / "c.jsonl.gz").write_bytes(b"not gzip")
    for name in ("a.parquet", "b.jsonl", "c.jsonl.gz"):
        with pytest.raises(LogError, match=name):
            list(reading.batches(tmp_path / name, ["t"]))
    with pytest.raises(ConfigError, match="does not exist"):
        reading.files_of(tmp_path / "none.csv")


def test_without_a_group_column_equal_texts_are_one_group(tmp_path: Path) -> None:
    rows = [{"t": "Same  text", "l": "a"}, {"t": "same text", "l": "b"}, {"t": "other", "l": "a"}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    data = reading.labelled(tmp_path / "x.jsonl", text="t", label="l")
    assert data.groups[0] == data.groups[1] != data.groups[2]
    assert not data.grouped
