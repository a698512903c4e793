"""The short way for blocks of plain canonical records: the same rows as the long way (``mapping``), sooner.

Nearly every line of a log is plain: numbers are numbers, times have one shape, no text is empty. A block of such
lines is parsed at once and cast column by column. Any other line goes the long way, which alone makes rejects.
Tests compare the rows of both ways.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from detector.ingest.casting import FINISH_WORDS, IDS, MAX_ID, MAX_LABEL, MAX_NAMES, SHAPES, WORDS
from detector.ingest.records import NOTHING
from detector.ingest.splitting import Raw
from features.spec import Column
from features.types import TYPES

_NUMBERS = ("BIGINT", "INTEGER", "DOUBLE")
#: Types that columns are parsed as, where it is not their own: whole numbers are checked before they are cast, and times
#: are tried in several shapes.
_PARSED: dict[str, pl.DataType] = {**dict.fromkeys(_NUMBERS, pl.Float64()), "TIMESTAMP": pl.String()}
#: A number that is not whole, or too large for 64 bits, where a text belongs.
_FRACTION = r"^-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)$|^-?\d{19,}$"
#: Text that may have been a number or a truth value.
_NO_TEXT = r"^(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false)$"
#: Larger whole numbers lose digits when they are parsed as DOUBLE.
_EXACT = 2**53 - 1
#: Columns of numbers with bounds of their own.
_SPANS = {"status": (100, 599), "asn": (1, 2**32 - 1)}
_FREE = {"prompt", "system_prompt"}
#: Opaque values of any length.
_STATE = {"minted", "carried"}
#: First bytes of the words for nothing and of white space, and the length of the longest such word.
_BEGINS = np.array(
    sorted({word.encode()[0] for word in NOTHING if word} | set(b" \t\n\r\x0b\x0c")), dtype=np.uint32
)
_LONGEST_WORD = max(map(len, NOTHING))


def parse(raw: Raw, columns: Sequence[Column], accounts: Sequence[str]) -> pl.DataFrame | None:
    """Lines of canonical records as columns, numbers as DOUBLE; None when some line has another shape.

    Two columns are added: ``line``, and ``repeats``, which is true for a line that has a key twice.

    ``accounts``: keys that may name the account; the first that is present wins.
    """
    if len(raw.data) > raw.max_line:
        return None
    shape = {name: pl.String() for name in accounts} | {
        c.name: _PARSED.get(c.type, TYPES[c.type].polars) for c in columns
    }
    try:
        frame = pl.read_ndjson(raw.data, schema=shape)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if frame.height != raw.n_lines:  # blank lines are passed over
        return None
    first, *others = accounts
    if first != "account_id" or frame["account_id"].null_count():
        frame = frame.with_columns(pl.coalesce(first, *others).alias("account_id"))
    from detector.ingest.repeated import repeats  # its compiler takes long to import

    lines = pl.int_range(raw.first_line, raw.first_line + raw.n_lines, eager=True).alias("line")
    twice = repeats(np.frombuffer(raw.data, np.uint8), raw.n_lines)
    return frame.with_columns(lines, pl.Series("repeats", twice))


def typed(
    raw: pl.DataFrame, columns: Sequence[Column], required: Sequence[str]
) -> tuple[pl.DataFrame, pl.Series]:
    """The result of ``parse`` with its columns cast, and which rows are plain. A row with a key twice is not plain.

    The values of a row that is not plain mean nothing; the caller drops it.
    """
    plain = ~raw["repeats"]
    typed_series: list[pl.Series] = [raw["line"]]
    for column in columns:
        series = raw[column.name]
        if series.null_count() == raw.height:
            value, odd = (
                pl.Series(column.name, dtype=TYPES[column.type].polars).extend_constant(None, raw.height),
                None,
            )
        elif column.type == "VARCHAR" and column.name != "finish_reason":
            value, odd = _text(column, series)
        elif column.type == "VARCHAR[]":
            value, odd = _lists(column, series)
        else:
            value = _value(column, series)
            odd = value.is_null() & series.is_not_null() if value.null_count() > series.null_count() else None
            if column.type in _NUMBERS:
                odd = _or(odd, _odd_number(column, value))
        if odd is not None:
            plain &= ~odd.fill_null(value=False)
        typed_series.append(value.alias(column.name))
    frame = pl.DataFrame(typed_series)
    for name in required:
        if frame[name].null_count():
            plain &= frame[name].is_not_null()
    return frame, plain


def _or(one: pl.Series | None, other: pl.Series | None) -> pl.Series | None:
    return other if one is None else one if other is None else one | other


def _text(column: Column, series: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """A text column, and its rows that are not plain: empty, too long, or perhaps something else than text.

    That is an object or a list, a number with a point (parsers spell it differently), or half a surrogate pair
    (parsed as NUL).
    """
    if _certainly_plain(series, column.name):
        return series, None
    odd = series.str.starts_with("{") | series.str.starts_with("[") | (series == "")
    odd |= series.str.contains("\0", literal=True)
    if column.name in _FREE:
        odd |= series.str.contains(_NO_TEXT)
    else:
        odd |= series.str.contains(_FRACTION) | series.is_in(WORDS) | (series.str.strip_chars() == "")
        limit = MAX_ID if column.name in IDS else MAX_LABEL
        longest = series.str.len_bytes().max()
        if isinstance(longest, int) and longest > limit:
            odd |= series.str.len_bytes() > limit
    return series, odd if odd.any() else None


def _certainly_plain(series: pl.Series, name: str) -> bool:
    """Whether the lengths and first bytes show that every text is plain, as they do for most columns.

    Arrow keeps sixteen bytes for each text: its length, then its first four bytes.
    """
    if series.str.contains("\0", literal=True).any():
        return False
    array = series.to_arrow(compat_level=pl.CompatLevel.newest())
    if array.type != pa.string_view():
        return False
    views = np.frombuffer(array.buffers()[1], dtype=np.uint32).reshape(-1, 4)
    views = views[array.offset : array.offset + len(array)]
    length, first = views[:, 0], views[:, 1] & 0xFF
    limit = MAX_ID if name in IDS else MAX_LABEL
    suspect = (first == ord("{")) | (first == ord("["))
    suspect |= (first - ord("0") < 10) | (first == ord("-"))
    if name in _FREE:
        suspect |= ((length == 4) & (first == ord("t"))) | ((length == 5) & (first == ord("f")))
    else:
        suspect |= length > limit
        short = length <= _LONGEST_WORD
        if short.any():
            suspect |= short & np.isin(first, _BEGINS)
        suspect |= first >= 0x80  # it may be white space of another script
    suspect |= length == 0
    if series.null_count():
        suspect &= series.is_not_null().to_numpy()
    return not suspect.any()


def _value(column: Column, series: pl.Series) -> pl.Series:
    """Values cast to the type of the column, NULL where a value is not plain."""
    if column.type in _NUMBERS:
        value = series.cast(TYPES[column.type].polars, strict=False)
        broken = value.cast(pl.Float64) != series if series.dtype == pl.Float64 else None
        return value if broken is None or not broken.any() else value.set(broken.fill_null(value=False), None)
    if column.type == "TIMESTAMP":
        times = _times(series)
        sane = times.dt.year().is_between(2000, 2099)
        return times if sane.all() else times.set(~sane.fill_null(value=False), None)
    if series.dtype == pl.Boolean:
        return series
    words: dict[str, object] = (
        dict(FINISH_WORDS) if column.name == "finish_reason" else {"true": True, "false": False}
    )
    kind = pl.String() if column.name == "finish_reason" else pl.Boolean()
    return series.replace_strict(words, default=None, return_dtype=kind)


def _times(series: pl.Series) -> pl.Series:
    first = series.drop_nulls().head(1)
    for shape in SHAPES:
        if not first.str.to_datetime(shape, time_unit="us", strict=False).null_count():
            return series.str.to_datetime(shape, time_unit="us", strict=False)
    number = series.cast(pl.Int64, strict=False)  # epoch; the unit shows in the size, see casting.timestamp
    scaled = pl.DataFrame({"n": number}).select(
        pl.when(pl.col("n").is_between(900_000_000, 4_200_000_000)).then(pl.col("n") * 1_000_000)
        .when(pl.col("n").is_between(900_000_000_000, 4_200_000_000_000)).then(pl.col("n") * 1_000)
        .when(pl.col("n").is_between(900_000_000_000_000, 4_200_000_000_000_000)).then(pl.col("n"))
    )  # fmt: skip
    return scaled.to_series().cast(pl.Datetime("us"))


def _odd_number(column: Column, value: pl.Series) -> pl.Series | None:
    least, most = _SPANS.get(column.name, (0, 1e300 if column.type == "DOUBLE" else _EXACT))
    low, high = value.min(), value.max()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    whole = column.type != "DOUBLE" or not value.is_nan().any()
    return None if least <= low and high <= most and whole else ~value.is_between(least, most)


def _lists(column: Column, series: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Lists of names, and the rows that hold anything that may be no name."""
    names = pl.element()
    if column.name in _STATE:
        bad = names.is_null() | (names == "") | names.str.contains(_NO_TEXT)
        bad |= names.str.starts_with("[") | names.str.starts_with("{")
        return series, series.list.eval(bad).list.any() | ~series.list.len().is_between(1, MAX_NAMES)
    bad = names.is_null() | (names == "") | names.str.starts_with("[") | names.str.starts_with("{")
    bad |= names.str.contains(r"^-?\d") | (names.str.len_chars() > MAX_LABEL) | names.is_in(WORDS)
    return series, series.list.eval(bad).list.any() | (series.list.len() > MAX_NAMES)
