"""An answer's rows on stdout: a grid for people, JSON lines, CSV. Nothing an attacker wrote steers what reads it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from detector.clean import json_safe, steers, visible
from detector.cli.values import column_values
from detector.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows a grid shows: more are for a file. Their widths are measured before the first is printed.
GRID_ROWS = 10_000
#: Width of a grid that goes to no terminal (characters), and the narrowest column that prose is folded into.
_WIDTH, _FOLDED = 200, 24
_CSV_QUOTED = re.compile(r'[",;|\\]|^\s|\s$')


def print_table(rows: pa.Table, *, style: str) -> None:
    """Rows to stdout as ``table`` (for people), ``json`` (one object a line) or ``csv``."""
    if style == "json":
        names = distinct(rows.column_names)
        for row in _rows(rows):
            _write(json_text(dict(zip(names, row, strict=True))))
    elif style == "csv":
        _write(",".join(csv_cell(name) for name in rows.column_names))
        for row in _rows(rows):
            _write(",".join(csv_cell(value) for value in row))
    else:
        for line in grid(rows, width=shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH):
            _write(line)
    sys.stdout.buffer.flush()
    if style == "table":
        n = rows.num_rows
        more = f", the first {GRID_ROWS:,} shown; --json prints all" if n > GRID_ROWS else ""
        typer.echo(f"{n:,} row" + ("" if n == 1 else "s") + more, err=True)


def _write(line: str) -> None:
    """One line in UTF-8, whatever the locale."""
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _rows(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Row by row, a few thousand in memory at a time as Python holds them."""
    for batch in rows.to_batches(max_chunksize=8192):
        columns = [column_values(column) for column in batch.columns]
        yield from zip(*columns, strict=True) if columns else ()


def write_parquet(rows: pa.Table, path: Path) -> None:
    """Rows as a Parquet file, written aside and renamed into place.

    Raises
    ------
    QueryError : Parquet has no such type, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    aside = path.with_name(path.name + ".new")
    try:
        pq.write_table(rows.rename_columns(distinct(rows.column_names)), aside, compression="zstd")
        os.replace(aside, path)
    except OSError as error:
        raise QueryError(f"{path} cannot be written: {os.strerror(error.errno or 0)}") from error
    except pa.ArrowException as error:
        raise QueryError(
            f"{path}: Parquet cannot hold a column of the answer ({error})",
            hint="cast it in the statement, for instance CAST(column AS VARCHAR)",
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def distinct(names: Sequence[str]) -> list[str]:
    """``names`` with a number behind those that came before (``SELECT 1 AS a, 2 AS a``)."""
    unique: list[str] = []
    for name in names:
        n, new = 1, name
        while new in unique:
            n += 1
            new = f"{name}_{n}"
        unique.append(new)
    return unique


# -- JSON ------------------------------------------------------------------------------------------------


def json_text(row: Any) -> str:
    r"""``row`` as JSON on one line, with what steers a terminal as ``\u`` escapes. NaN and infinity are null."""
    try:
        text = orjson.dumps(row, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # an integer beyond 64 bits, or half a surrogate pair (a file name that is not UTF-8)
        import json

        text = json.dumps(_json_plain(row), ensure_ascii=True, separators=(",", ":"))
    return json_safe(text)


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else str(value)


def _json_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _json_plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_plain(each) for each in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else _plain(value)


# -- CSV -------------------------------------------------------------------------------------------------


def csv_cell(value: object) -> str:
    r"""A CSV cell that stays one cell on one line, and that no spreadsheet takes for a formula.

    NULL is empty, bytes are hexadecimal, lists and structs are JSON. Line breaks and whatever steers a terminal are
    written out (``\n``, ``\x1b``); a formula gets an apostrophe in front.
    """
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool | int | float):
        return str(value)
    raw = (
        value
        if isinstance(value, str)
        else json_text(value)
        if isinstance(value, list | tuple | dict)
        else str(value)
    )
    text = visible(raw)
    if isinstance(value, str | list | tuple | dict) and _is_formula(raw):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _CSV_QUOTED.search(text) else text


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may take it for one: ``=``, ``+``, ``-``, ``@`` or their wide forms come first.

    Spaces, quotes and invisible characters before it do not help: programs drop them when they read.
    """
    if text[:1] in ("\t", "\r"):
        return True
    for char in text:
        if char.isspace() or char in "\"'`" or steers(char):
            continue
        return unicodedata.normalize("NFKC", char)[:1] in ("=", "+", "-", "@")
    return False


# -- grid ------------------------------------------------------------------------------------------------


def grid(rows: pa.Table, *, width: int) -> Iterator[str]:
    """Lines of a table for people: columns where they fit, else one record a block. Only prose is ever folded."""
    import pyarrow as pa

    names = [visible(name, 60) for name in rows.column_names]
    kinds = rows.schema.types
    right = [pa.types.is_integer(k) or pa.types.is_floating(k) or pa.types.is_decimal(k) for k in kinds]
    cells = [[_figure(value) for value in row] for row in _rows(rows.slice(0, GRID_ROWS))]
    if not names:
        return
    wide = [max([cells_wide(name), *(cells_wide(row[i]) for row in cells)]) for i, name in enumerate(names)]
    fitted = _fit(names, cells, wide, width)
    if fitted is None and not cells:
        yield "  ".join(names)
        return
    if fitted is None:
        label = max(cells_wide(name) for name in names)
        for number, row in enumerate(cells, 1):
            yield f"-- row {number}"
            for name, cell in zip(names, row, strict=True):
                yield f"{_padded(name, label)}  {cell}".rstrip()
        return
    for row in [names, *cells]:
        folded = [
            textwrap.wrap(cell, size, break_long_words=False, break_on_hyphens=False) or [""]
            if cells_wide(cell) > size
            else [cell]
            for cell, size in zip(row, fitted, strict=True)
        ]
        for line in range(max(len(parts) for parts in folded)):
            shown = [
                _padded(parts[line] if line < len(parts) else "", size, right=to_right)
                for parts, size, to_right in zip(folded, fitted, right, strict=True)
            ]
            yield "  ".join(shown).rstrip()


def _fit(names: list[str], cells: list[list[str]], wide: list[int], width: int) -> list[int] | None:
    """Widths of the columns: their own, or prose folded into what the others leave; None when it cannot be."""
    room = width - 2 * (len(wide) - 1)
    if sum(wide) <= room:
        return wide
    prose = [
        i
        for i, name in enumerate(names)
        if wide[i] > _FOLDED
        and not name.endswith(("id", "hash", "key"))
        and any(" " in row[i] for row in cells)
    ]
    left = room - sum(size for i, size in enumerate(wide) if i not in prose)
    for position, i in enumerate(sorted(prose, key=lambda i: wide[i])):
        words = [word for row in cells for word in row[i].split()]
        least = max([_FOLDED, cells_wide(names[i]), *(cells_wide(word) for word in words)])
        size = min(wide[i], left // (len(prose) - position))
        if size < min(wide[i], least):
            return None
        wide[i] = size
        left -= size
    return wide if left >= 0 else None


def cells_wide(text: str) -> int:
    """Columns of a terminal that ``text`` takes: wide letters two, marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c)[0] == "M" else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _padded(text: str, size: int, *, right: bool = False) -> str:
    space = " " * max(0, size - cells_wide(text))
    return space + text if right else text + space


def _figure(value: object) -> str:
    """A value as a cell of a grid: floats with six digits, bytes by their beginning, text cut at 200 characters."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return value.hex()[:16] + ("…" if len(value) > 8 else "")
    return visible(json_text(value) if isinstance(value, list | tuple | dict) else value, 200)
