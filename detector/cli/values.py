"""Values of an answer as Python holds them, or as words where Python cannot: years beyond 9999, intervals, unions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

#: DuckDB's infinite dates and times are the ends of their integers.
_ENDS = {2**31 - 1: "infinity", -(2**31 - 1): "-infinity", 2**63 - 1: "infinity", -(2**63 - 1): "-infinity"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def column_values(column: pa.Array) -> list[Any]:
    """The values of one column; no value of any type stops it."""
    try:
        return [_in_words(value) for value in column.to_pylist()]
    except Exception:
        return [scalar_value(each) for each in column]


def scalar_value(scalar: Any) -> Any:
    """One Arrow value, in words where Python has no such value."""
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(scalar, pa.MapScalar | pa.ListScalar):  # a map is a list of structs
        children = scalar.values
        items = [] if children is None else [scalar_value(each) for each in children]
        return [tuple(item.values()) for item in items] if isinstance(scalar, pa.MapScalar) else items
    if isinstance(scalar, pa.StructScalar):
        return {kind.field(i).name: scalar_value(scalar[i]) for i in range(kind.num_fields)}
    try:
        return _in_words(scalar.as_py())
    except Exception:
        value = getattr(scalar, "value", None)
        if not isinstance(value, int):
            return str(scalar)
        if pa.types.is_date(kind):
            return _date(value if pa.types.is_date32(kind) else value // 86_400_000)
        return _timestamp(value, kind.unit) if pa.types.is_timestamp(kind) else str(value)


def _in_words(value: Any) -> Any:
    """``value`` with SQL intervals in words, however deep."""
    if isinstance(value, list):
        return [_in_words(each) for each in value]
    if isinstance(value, dict):
        return {name: _in_words(each) for name, each in value.items()}
    if type(value).__name__ == "MonthDayNano":
        return _interval(value)
    if isinstance(value, tuple):
        return tuple(_in_words(each) for each in value)
    return value


def _interval(value: Any) -> str:
    words = [f"{n} {word}" for n, word in ((value.months, "months"), (value.days, "days")) if n]
    if value.nanoseconds or not words:
        words.append(str(timedelta(microseconds=value.nanoseconds // 1000)))
    return " ".join(words)


def _date(days: int) -> str:
    """Days since 1970 in the proleptic Gregorian calendar, any year (Hinnant, days_from_civil reversed)."""
    if days in _ENDS:
        return _ENDS[days]
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    left = day - (365 * year + year // 4 - year // 100)
    month = (5 * left + 2) // 153
    at = (
        year + era * 400 + (month >= 10),
        month + 3 if month < 10 else month - 9,
        left - (153 * month + 2) // 5 + 1,
    )
    return (
        f"{at[0]:04d}-{at[1]:02d}-{at[2]:02d}"
        if at[0] > 0
        else f"{1 - at[0]:04d}-{at[1]:02d}-{at[2]:02d} (BC)"
    )


def _timestamp(value: int, unit: str) -> str:
    if value in _ENDS:
        return _ENDS[value]
    seconds, rest = divmod(value, _PER_SECOND[unit])
    days, inside = divmod(seconds, 86_400)
    clock = f"{inside // 3600:02d}:{inside // 60 % 60:02d}:{inside % 60:02d}"
    digits = len(str(_PER_SECOND[unit])) - 1
    return f"{_date(days)} {clock}" + (f".{rest:0{digits}d}" if rest else "")
