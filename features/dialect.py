"""Which functions a measurement may use, so that the engine can be exchanged.

``PORTABLE`` functions mean the same in DuckDB and Spark. Everything else is a macro that each engine defines.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Functions that are the same in DuckDB and Spark 4 for the types used here, also for NULLs, empty input and rounding.
#: Deliberately missing: ``concat`` (DuckDB skips NULLs), ``entropy`` and ``mad`` (other definitions),
#: ``any_value``, ``first``, ``last`` (depend on the order of rows), ``epoch_ms``, ``date_diff``, ``corr``.
#: ``log2`` and ``ln`` agree on positive numbers only; ``max_by`` only where its second argument has no ties.
PORTABLE: frozenset[str] = frozenset(
    (
        "abs",
        "avg",
        "bit_or",
        "bit_count",
        "bool_and",
        "bool_or",
        "ceil",
        "coalesce",
        "count",
        "date_trunc",
        "dense_rank",
        "exp",
        "floor",
        "greatest",
        "hour",
        "lag",
        "lead",
        "least",
        "length",
        "ln",
        "log2",
        "lower",
        "max",
        "max_by",
        "median",
        "min",
        "min_by",
        "nullif",
        "power",
        "rank",
        "round",
        "row_number",
        "sqrt",
        "stddev_pop",
        "stddev_samp",
        "substr",
        "sum",
        "upper",
    )
)

#: Macro name -> DuckDB definition: the only place for functions that engines do not share. Another engine defines
#: the same names. NULL in, NULL out; aggregates skip NULLs and return NULL for no input.
MACROS: Mapping[str, str] = MappingProxyType(
    {
        # Seconds since 1970, DOUBLE, to the microsecond.
        "epoch_s": "(ts) AS epoch_us(ts) / 1000000.0",
        # The 64-bit key of a value, UBIGINT; ``kind`` keeps equal values of two kinds apart.
        "key64": "(kind, value) AS md5_number_lower(kind || ':' || value)",
        # A 64-bit number to group or sort by instead of a string. It is used within one statement and never stored,
        # as engines differ. Two of a million accounts collide once in 40 million days.
        "bucket_of": "(value) AS CASE WHEN value IS NOT NULL THEN hash(value) END",
        # The same of a pair, either of which may be NULL.
        "pair_of": "(a, b) AS hash(a, b)",
        # One of 64 marks for a value; ``bit_or`` of marks counts different values (linear counting).
        "mark_of": "(value) AS CAST(1 AS UBIGINT) << (hash(value) & 63)",
        # Estimated number of distinct values behind these marks, from 0 to about 266.
        "count_of_marks": "(marks) AS -64 * ln(greatest(1.0 - bit_count(marks) / 64.0, 1.0 / 64))",
        # The content key at a place of the list, if it is of that kind. Ingest orders keys by kind: for a prompt of
        # eight words or more the first five are exact, opening4, opening8, ending4, ending8.
        "key_at": "(xs, i, kind) AS CASE WHEN (xs[i] & 15) = kind THEN xs[i] END",
        # Kind of a content key (schema.CONTENT_KEY_KINDS): its low four bits.
        "key_kind": "(key) AS CAST(key & 15 AS INTEGER)",
        # One row for each element of a list; an empty or NULL list gives none.
        "each_of": "(xs) AS unnest(xs)",
        # Number of elements of a list.
        "size_of": "(xs) AS len(xs)",
        # Aggregate: median absolute deviation about the median, not scaled.
        "mad_of": "(x) AS mad(CAST(x AS DOUBLE))",
        # Aggregate: list of the 25th, 50th and 75th percentile, linear interpolation.
        "quartiles_of": "(x) AS quantile_cont(CAST(x AS DOUBLE), [0.25, 0.5, 0.75])",
        # Aggregate: the q-quantile, linear interpolation.
        "quantile_of": "(x, q) AS quantile_cont(CAST(x AS DOUBLE), q)",
        # Aggregate: list of the k largest.
        "top_of": "(x, k) AS max(x, k)",
        # Mean of a list.
        "mean_of": "(xs) AS list_avg(xs)",
        # Element of a list, counted from 1.
        "nth_of": "(xs, i) AS xs[i]",
        # Entries of a map as a list of structs with fields key and value.
        "entries_of": "(m) AS map_entries(m)",
    }
)


def create_macros() -> list[str]:
    """Statements that define every macro; run once on a fresh DuckDB connection."""
    return [f"CREATE OR REPLACE TEMP MACRO {name}{body}" for name, body in MACROS.items()]
