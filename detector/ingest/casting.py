"""Casts the values of a log to the types of the canonical record, a column at a time.

A value of the wrong type becomes NULL and is counted. A caller may set headers and parameters, and must not be able
to keep a request out of the lake with them. Only a required column makes a reject.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from detector.ingest.messages import text_of
from detector.ingest.records import NOTHING
from features.spec import Column
from features.types import TYPES

#: Longest identifier kept, in characters. A longer one keeps its start and a digest of the whole.
MAX_ID = 1024
#: Longest descriptive text kept, in characters; a longer one is cut.
MAX_LABEL = 256
#: Longest list of names kept.
MAX_NAMES = 256

IDS = frozenset(("request_id", "account_id", "api_key_id", "org_id", "end_user_id", "session_id"))
FREE = frozenset(("prompt", "system_prompt", "keys"))

#: The five canonical words for the way an answer ended, with those of the formats in lower case. Words written together
#: are those of the .NET clients (``ToolCalls``).
FINISH = {
    "stop": ("stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "finish",
             "finished", "endoftext", "pause_turn", "end", "done", "success"),
    "length": ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded",
               "incomplete"),
    "tool": ("tool", "tool_calls", "tool_call", "tool_use", "function_call", "tool-calls", "toolcalls",
             "functioncall"),
    "filter": ("filter", "content_filter", "content_filtered", "guardrail_intervened", "safety", "blocklist",
               "prohibited_content", "recitation", "error_toxic", "content-filter", "spii", "image_safety",
               "contentfilter"),
    "refusal": ("refusal", "refused"),
}  # fmt: skip
FINISH_WORDS = {word: name for name, words in FINISH.items() for word in words}

_EXPECTED = {
    "TIMESTAMP": "a time (ISO 8601, or epoch s, ms, us or ns) between 2000 and 2100",
    "BIGINT": "a whole number",
    "INTEGER": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "VARCHAR": "text",
    "VARCHAR[]": "a list of names",
    "MAP(VARCHAR, VARCHAR[])": "an object of lists",
}
_LIMIT = {"BIGINT": 2**63 - 1, "INTEGER": 2**31 - 1}
#: Words for nothing, sorted: polars wants a list.
WORDS = sorted(NOTHING)
#: Numbers that may be negative.
_SIGNED = frozenset(("seed",))
_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = datetime(2000, 1, 1), datetime(2100, 1, 1)
#: Spellings of times in UTC or without a zone that are tried on a whole column at once.
SHAPES = (
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%dT%H:%M:%S%.f+00:00",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
)
_WEB_SERVER = re.compile(
    r"(?P<day>\d\d)/(?P<month>[A-Za-z]{3})/(?P<year>\d{4}):(?P<time>\d\d:\d\d:\d\d)(?: (?P<zone>[+-]\d{4}))?",
    re.ASCII,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FRACTION = re.compile(r"([.,]\d{6})\d+")
_TRUE = frozenset(("true", "t", "yes", "on", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "off", "0", "0.0"))


class Inferred(int):
    """A status that the log does not state: it is inferred from the name or the words of an error."""


def expected(column: Column) -> str:
    """What a reject says was expected of ``column``."""
    if column.name == "status" and column.type == "INTEGER":
        return "an HTTP status, success or failure"
    return _EXPECTED[column.type]


def cast(column: Column, values: Sequence[Any]) -> tuple[pl.Series, list[int]]:
    """``values`` as the type of ``column``, and the rows with a wrong value.

    Words for nothing (``None``, ``-``, ``nan`` ...), negative counts and unknown finish reasons become NULL and are not
    wrong.
    """
    dtype = TYPES[column.type].polars
    if column.type.startswith("MAP"):
        dtype = pl.String()
    if values.count(None) == len(values):
        return pl.Series(column.name, [None], dtype=dtype).new_from_index(0, len(values)), []
    if column.type == "TIMESTAMP":
        return _times(column.name, values)
    if column.name in FREE:
        other = _text if column.name == "keys" else text_of
        typed = [v if v.__class__ is str and v else other(v) for v in values]
        wrong = [] if column.name == "keys" else _unread(values, typed)
        return pl.Series(column.name, typed, dtype=pl.String), wrong
    at_once = _at_once(column, values, dtype)
    if at_once is not None:
        return at_once, []
    convert = _converter(column)
    wrong = []
    typed = []
    for row, value in enumerate(values):
        if value is None:
            typed.append(None)
            continue
        try:
            typed.append(convert(value))
        except (ValueError, OverflowError, TypeError, RecursionError):
            typed.append(None)
            wrong.append(row)
    return pl.Series(column.name, typed, dtype=dtype), wrong


def _unread(values: Sequence[Any], texts: Sequence[str | None]) -> list[int]:
    """Rows with a value that holds no text."""
    if texts.count(None) == values.count(None):
        return []
    rows = enumerate(zip(values, texts, strict=True))
    return [row for row, (value, text) in rows if text is None and value is not None and value != ""]


def _at_once(column: Column, values: Sequence[Any], dtype: pl.DataType) -> pl.Series | None:
    """A column whose values all have the expected Python type; None when some value needs a closer look."""
    types = set(map(type, values)) - {type(None)}
    name = column.name
    if types == {str} and column.type == "VARCHAR" and name not in _SPECIAL:
        text = pl.Series(name, values, dtype=pl.String)
        if not NOTHING.isdisjoint(values):
            text = text.set(text.is_in(WORDS) & text.is_not_null(), None)
        blank = text.str.strip_chars() == ""
        if blank.any():
            text = text.set(blank.fill_null(value=False), None)
        if name in IDS:
            longest = text.str.len_chars().max()
            return None if isinstance(longest, int) and longest > MAX_ID else text
        return text.str.slice(0, MAX_LABEL)
    if types == {bool} and column.type == "BOOLEAN" and name not in _SPECIAL:
        return pl.Series(name, values, dtype=pl.Boolean)
    numbers = {int} if column.type in _LIMIT else {int, float} if column.type == "DOUBLE" else set()
    if not numbers or not types <= numbers or name in _SIGNED:
        return None
    low, high = (100, 599) if name == "status" else (0, _LIMIT.get(column.type, 1.7e308))
    try:
        wide = pl.Series(name, values, dtype=pl.Int64 if column.type in _LIMIT else pl.Float64)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):  # an integer beyond 64 bits
        return None
    least, most = wide.min(), wide.max()
    if (
        not isinstance(least, int | float)
        or not isinstance(most, int | float)
        or not low <= least <= most <= high
    ):
        return None
    if name == "asn" and least == 0:
        return None
    return None if column.type == "DOUBLE" and wide.is_nan().any() else wide.cast(dtype)


def _converter(column: Column) -> Callable[[Any], Any]:
    if (column.name in _SPECIAL and column.type != "VARCHAR") or column.name == "finish_reason":
        return _SPECIAL[column.name]
    if column.type in ("BIGINT", "INTEGER"):
        limit = _LIMIT[column.type]
        return lambda v: v if v.__class__ is int and 0 <= v <= limit else _whole(v, limit)
    if column.type == "DOUBLE":
        return _number
    if column.type == "BOOLEAN":
        return _boolean
    if column.type == "VARCHAR[]":
        return _names
    if column.name in IDS:
        return _identifier
    return _label


def _text(value: Any) -> str | None:
    """A scalar as text; None for an empty one. Objects and lists become JSON (keys of accounts).

    ``7.0`` is written ``7``, because exports turn whole numbers into floats when a column has gaps.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        try:
            return orjson.dumps(value).decode()
        except TypeError as error:
            if "64-bit" not in str(error):
                return None  # nested too deeply
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, float) and value == value // 1:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return str(value)


def _scalar(value: Any) -> str | None:
    if value.__class__ is str:
        return None if value in NOTHING or not value.strip() else value
    if isinstance(value, dict | list):
        raise ValueError("an object or a list")
    return _text(value)


def _identifier(value: Any) -> str | None:
    text = _scalar(value)
    if text is not None and len(text) > MAX_ID:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
        return f"{text[:64]}#{digest}"
    return text


def _label(value: Any) -> str | None:
    text = _scalar(value)
    return text[:MAX_LABEL] if text is not None else None


def _float(value: Any) -> float | None:
    """A finite number; None for a word for nothing."""
    if isinstance(value, bool | dict | list):
        raise ValueError("not a number")
    if isinstance(value, str):
        if value in NOTHING or not (value := value.strip()):
            return None
        if "_" in value:  # Python reads 1_000, logs do not write it
            raise ValueError("not a number")
    number = float(value)
    if number - number != 0.0:
        raise ValueError("not finite")
    return number


def _number(value: Any) -> float | None:
    number = _float(value)
    return number if number is not None and number >= 0 else None


def _whole(value: Any, limit: int) -> int | None:
    number = _float(value)
    if number is None or number < 0:
        return None
    exact = int(value) if isinstance(value, int) else int(number)
    if isinstance(value, str) and value.strip().isdigit():
        exact = int(value)
    if exact != number and abs(exact - number) >= 1:
        raise ValueError("not whole")
    if number != int(number) or exact > limit:
        raise ValueError("not whole, or too large")
    return exact


def total(count: Any, *apart: Any) -> Any:
    """``count`` plus the counts that a log keeps ``apart`` from it (tokens read from and written to a cache).

    ``count`` is returned unchanged when it is None or no count.
    """
    try:
        whole = _whole(count, _LIMIT["BIGINT"]) if count is not None else None
    except (ValueError, OverflowError):
        return count
    if whole is None:
        return count
    for value in apart:
        try:
            whole += (_whole(value, _LIMIT["BIGINT"]) or 0) if value is not None else 0
        except (ValueError, OverflowError):
            continue
    return whole


def scaled(value: Any, factor: float) -> Any:
    """A number in another unit; ``value`` unchanged when it is no number."""
    try:
        number = _float(value) if value is not None else None
    except (ValueError, OverflowError):
        return value
    return number * factor if number is not None else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    word = _scalar(value)
    if word is None:
        return None
    word = word.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("neither true nor false")


def _status(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("success", "ok"):
            return 200
        if word in ("failure", "failed", "error"):
            return 500
        if word in ("true", "false"):
            return None
    number = _whole(value, 2**31 - 1)
    if number is None:
        return None
    if not 100 <= number <= 599:
        raise ValueError("no HTTP status")
    return number


def _asn(value: Any) -> int | None:
    if isinstance(value, str) and value[:2].upper() == "AS":
        value = value[2:].strip()
    number = _whole(value, 2**32 - 1)
    return number or None


def _logit_bias(value: Any) -> bool | None:
    if isinstance(value, dict | list):
        return bool(value)
    if isinstance(value, str) and value[:1] in ("{", "["):
        return value.strip() not in ("{}", "[]")
    return _boolean(value)


def _top_logprobs(value: Any) -> int | None:
    """The number of alternatives. Some callers write ``true`` for one and ``false`` for none."""
    return int(value) if isinstance(value, bool) else _whole(value, 2**31 - 1)


def _finish(value: Any) -> str | None:
    return FINISH_WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _names(value: Any) -> list[str] | None:
    """Names from a list, from its JSON text, or from text with commas (CSV)."""
    if isinstance(value, str):
        if value in NOTHING:
            return None
        if value[:1] == "[":
            value = orjson.loads(value)
        elif value[:1] == "{":
            raise ValueError("an object")
        else:
            value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list):
        raise ValueError("no list")
    if any(isinstance(v, dict | list) for v in value[:MAX_NAMES]):
        raise ValueError("a list of objects")
    return [_label(v) or "" for v in value[:MAX_NAMES] if v not in (None, "")]


def _seed(value: Any) -> int | None:
    number = _float(value)
    if number is None:
        return None
    if number != int(number) or abs(number) >= 2**63:
        raise ValueError("not whole, or too large")
    return value if isinstance(value, int) else int(number)


def _state(value: Any) -> list[str] | None:
    """Opaque values, one or a list. They are never cut: a part of one means nothing."""
    if isinstance(value, str):
        value = orjson.loads(value) if value[:1] == "[" else [value] if value not in NOTHING else []
    if not isinstance(value, list):
        raise ValueError("neither text nor a list")
    states = [v for v in value[:MAX_NAMES] if v.__class__ is str and v]
    return states or None


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "status": _status, "asn": _asn, "logit_bias": _logit_bias, "finish_reason": _finish,
    "top_logprobs": _top_logprobs, "seed": _seed, "minted": _state, "carried": _state,
}  # fmt: skip


def _times(name: str, values: Sequence[Any]) -> tuple[pl.Series, list[int]]:
    """Times in UTC. A column of one plain shape is read at once, any other column value by value."""
    first = next(v for v in values if v is not None)
    if first.__class__ is str:
        try:
            text = pl.Series(name, values, dtype=pl.String, strict=True)
        except (TypeError, pl.exceptions.PolarsError):
            text = None
        if text is not None:
            for shape in SHAPES:
                times = text.str.to_datetime(shape, time_unit="us", strict=False)
                if times.null_count() == text.null_count() and times.dt.year().is_between(2000, 2099).all():
                    return times, []
    moments: list[datetime | None] = []
    wrong: list[int] = []
    for row, value in enumerate(values):
        moment = None
        if value is not None and not (isinstance(value, str) and value in NOTHING):
            moment = time_of(value)
            if moment is None:
                wrong.append(row)
        moments.append(moment)
    return pl.Series(name, moments, dtype=pl.Datetime("us")), wrong


def time_of(value: Any) -> datetime | None:
    """A time in UTC without zone; None when ``value`` is no time of the years 2000 to 2099.

    Text is ISO 8601; without a zone it is UTC. The size of an epoch number shows its unit: seconds are 9.4e8 to 4.1e9;
    ms, us and ns are a thousand times as large each.
    """
    micros = epoch_us(value)
    if micros is None:
        return None
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment if _FIRST <= moment < _LAST else None


def epoch_us(value: Any) -> int | None:
    """Microseconds since 1970 of a time as logs write it; None when ``value`` is no time."""
    if value.__class__ is str:
        text = value.strip()
        if text[4:5] == "-":
            return _iso(text)
        if text[2:3] == "/":
            return _web_server(text)
        try:
            value = int(text) if text.isdigit() else float(text)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 5e18:
        return None
    for scale, unit in ((1e9, 1_000_000), (1e12, 1_000), (1e15, 1)):
        if 0.9 * scale <= value <= 4.2 * scale:
            return value * unit if isinstance(value, int) else round(value * unit)
    return int(value) // 1000 if 0.9e18 <= value <= 4.2e18 else None


def _web_server(text: str) -> int | None:
    """A time as web servers write it: ``01/Nov/2026:10:00:00 +0000``."""
    match = _WEB_SERVER.fullmatch(text)
    if match is None or match["month"].lower() not in _MONTHS:
        return None
    zone = match["zone"] or "+0000"
    month = _MONTHS.index(match["month"].lower()) + 1
    return _iso(f"{match['year']}-{month:02}-{match['day']}T{match['time']}{zone}")


def _iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text.upper().replace(" UTC", "Z")))
        except ValueError:
            return None
    if moment.tzinfo is not None and moment.utcoffset():
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            return None
    delta = moment.replace(tzinfo=None) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
