"""Makes one statement of many measurements, so that a grain is one query and an engine is one seam.

A plug-in writes one SELECT over named relations; here these become named parts of a single statement,
joined on the key, with absent ones replaced by typed NULLs and a reason. Functions are held to a checked
list: ``PORTABLE`` is what DuckDB and Spark mean alike, ``MACROS`` is everything else, defined by each engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from features import plugins, schema
from features.spec import Column, Measure, Tie

#: Functions that DuckDB and Spark 4 mean alike for the types used here: NULLs, empty input and rounding.
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

#: Macro name to its DuckDB definition: the only place for functions engines do not share. Another engine
#: defines the same names. NULL in, NULL out; aggregates skip NULLs and answer NULL for nothing.
MACROS: Mapping[str, str] = MappingProxyType(
    {
        # Seconds since 1970, DOUBLE, to the microsecond.
        "epoch_s": "(ts) AS epoch_us(ts) / 1000000.0",
        # The 64-bit key of a value, UBIGINT; ``kind`` keeps equal values of two kinds apart.
        "key64": "(kind, value) AS md5_number_lower(kind || ':' || value)",
        # A 64-bit number to group or sort by instead of a string, within one statement only: engines differ
        # and nothing stores it. Two of a million accounts collide once in 40 million days.
        "bucket_of": "(value) AS CASE WHEN value IS NOT NULL THEN hash(value) END",
        # The same of a pair, either of which may be NULL.
        "pair_of": "(a, b) AS hash(a, b)",
        # One of 64 marks for a value; ``bit_or`` of marks counts different values (linear counting).
        "mark_of": "(value) AS CAST(1 AS UBIGINT) << (hash(value) & 63)",
        # Estimate of how many different values left these marks, from 0 to about 266.
        "count_of_marks": "(marks) AS -64 * ln(greatest(1.0 - bit_count(marks) / 64.0, 1.0 / 64))",
        # The content key at a place of the list, if it is of that kind. The door lists them by kind, so that
        # in a prompt of eight words or more the first five are exact, opening4, opening8, ending4, ending8.
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

_C = Column
_ACCOUNTS = (
    _C("account_id", "VARCHAR", "the account"),
    _C("org_id", "VARCHAR", "organisation it belongs to"),
    _C("created_at", "TIMESTAMP", "sign-up", "UTC"),
    _C("payment_hash", "VARCHAR", "keyed hash of the payment fingerprint"),
    _C("payment_bin_hash", "VARCHAR", "keyed hash of the card's issuer number"),
    _C("email_domain_hash", "VARCHAR", "keyed hash of the mail domain"),
    _C("email_domain_class", "VARCHAR", "free, disposable or custom"),
    _C("signup_ip_hash", "VARCHAR", "keyed hash of the address at sign-up"),
    _C("signup_ip_prefix", "VARCHAR", "its /24 or /48 network"),
    _C("country", "VARCHAR", "stated country; never scored", "ISO 3166-1 alpha-2"),
    _C("pathway", "VARCHAR", "door the account was opened through"),
    _C("program", "VARCHAR", "payg, education, research, startup, enterprise, partner ..."),
    _C("verified", "BOOLEAN", "whether identity was verified"),
    _C("status", "VARCHAR", "active, suspended, banned ..."),
    _C("valid_from", "TIMESTAMP", "from when the row holds; NULL: always", "UTC"),
    _C("keys", "MAP(VARCHAR, VARCHAR[])", "further linking keys of the site: kind to keyed hashes"),
)
TIE_COLUMNS = (
    _C("account_id", "VARCHAR", "the account"),
    _C("family", "VARCHAR", "billing, network, client, content, rhythm or succession"),
    _C("kind", "VARCHAR", "kind of key, told by its tie plug-in"),
    _C("key", "UBIGINT", "the key, hashed"),
    _C("n", "BIGINT", "times used that day"),
    _C("n_prompts", "BIGINT", "distinct prompts the account sent under the key; NULL: not a content key"),
    _C(
        "n_prompts_all",
        "BIGINT",
        "distinct prompts anybody sent under the key that day; NULL: not a content key",
    ),
    _C("asked_sum", "DOUBLE", "sum of the elicitation scores of those requests; NULL: not a content key"),
    _C("first_ts", "TIMESTAMP", "first use that day", "UTC"),
    _C("last_ts", "TIMESTAMP", "last use that day", "UTC"),
    _C("detail", "VARCHAR", "label for people; never text of a prompt"),
)
_MEMBERS = (
    _C("group_id", "VARCHAR", "the group"),
    _C("account_id", "VARCHAR", "a member"),
)

#: Column each grain is keyed by, and where its keys come from.
_SPINES = {
    "account_id": "SELECT DISTINCT account_id FROM requests",
    "group_id": "SELECT DISTINCT group_id FROM members",
}

#: Relations that several plug-ins would otherwise each compute; defined once a statement, when read.
#: ``account_buckets``: the day's accounts with ``bucket_of`` of each. Sorting and grouping rows by the bucket
#: costs half of what the account's name does; the name is joined back at the end.
#: ``member_requests``: the day's requests of members, with their ``group_id``.
#: ``facets``: requests counted by everything about them that has few values, so that four plug-ins read the
#: day once. ``asked``: the different prompts of each account, by its bucket; a NULL ``prompt_hash`` stands
#: for requests without one.
#: ``templated``: templates of each account. ``shared_keys``: openings, endings (of eight words) and
#: templates that three accounts or more hold; ``n_requests`` is exact, ``n_accounts`` a linear count (one in
#: twenty keys of just three holders is missed), ``distinctness`` (0..1) the part of different prompts,
#: counted up to 64 requests.
SHARED: Mapping[str, str] = MappingProxyType(
    {
        "account_buckets": """
SELECT account_id, bucket_of(account_id) AS bucket
FROM requests
GROUP BY account_id""",
        "member_requests": """
SELECT members.group_id, requests.*
FROM members
JOIN requests ON members.account_id = requests.account_id""",
        "facets": """
SELECT
    bucket_of(account_id) AS bucket,
    model, pathway, capability, temperature, max_tokens, n, top_logprobs, stream, logit_bias, logit_probe,
    tool_count > 0 AS tooled, status >= 400 AS failed, finish_reason = 'refusal' AS refused,
    count(*) AS calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(CASE WHEN output_tokens IS NOT NULL THEN input_tokens END) AS paired_input,
    sum(CASE WHEN input_tokens IS NOT NULL THEN output_tokens END) AS paired_output,
    min(ts) AS first_ts, max(ts) AS last_ts
FROM requests
GROUP BY
    bucket_of(account_id), model, pathway, capability, temperature, max_tokens, n, top_logprobs, stream,
    logit_bias, logit_probe, tool_count > 0, status >= 400, finish_reason = 'refusal'""",
        "asked": """
SELECT
    bucket_of(account_id) AS bucket, prompt_hash,
    count(*) AS n,
    min(template_id) AS template_id,
    min(prompt_words) AS prompt_words,
    min(key_at(content_keys, 3, 2)) AS opening,
    min(key_at(content_keys, 5, 4)) AS ending,
    count(turn) AS n_turned,
    count(CASE WHEN turn = 1 THEN 1 END) AS n_first
FROM requests
GROUP BY bucket_of(account_id), prompt_hash""",
        "templated": """
SELECT bucket, template_id, sum(n) AS n, bit_or(mark_of(prompt_hash)) AS prompts
FROM asked
WHERE template_id IS NOT NULL
GROUP BY bucket, template_id""",
        "shared_keys": """
SELECT
    kind, key, n_requests, count_of_marks(holders) AS n_accounts,
    least(1.0, count_of_marks(prompts) / least(n_requests, 64)) AS distinctness
FROM (
    SELECT 2 AS kind, opening AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
        bit_or(mark_of(prompt_hash)) AS prompts
    FROM asked WHERE opening IS NOT NULL GROUP BY opening
    UNION ALL
    SELECT 4 AS kind, ending AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
        bit_or(mark_of(prompt_hash)) AS prompts
    FROM asked WHERE ending IS NOT NULL GROUP BY ending
    UNION ALL
    SELECT 10 AS kind, template_id AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
        bit_or(prompts) AS prompts
    FROM templated WHERE template_id IS NOT NULL GROUP BY template_id
) AS held
WHERE count_of_marks(holders) > 2.5""",
    }
)

#: Everything a plug-in's ``reads`` may name.
READABLE: frozenset[str] = frozenset(
    (
        "requests", "requests_before", "accounts", "account_events", "model_releases", "hosting_asns",
        "members", "account_days", "ties", *SHARED,
    )
)  # fmt: skip


@dataclass(frozen=True)
class Composed:
    """One statement and what had to be left out of it: (plug-in, reason) pairs."""

    sql: str
    skipped: tuple[tuple[str, str], ...]


def create_macros() -> list[str]:
    """Statements that define every macro; run once on a fresh DuckDB connection."""
    return [f"CREATE OR REPLACE TEMP MACRO {name}{body}" for name, body in MACROS.items()]


def relations() -> dict[str, tuple[Column, ...]]:
    """Relations a plug-in may read, with their columns.

    ``requests`` holds the day, ``requests_before`` the seven days before it; ``accounts`` at most one row an
    account, the one valid at the end of the day; ``account_events`` and ``model_releases`` all up to then.
    """
    return {
        "requests": schema.REQUESTS,
        "requests_before": schema.REQUESTS,
        "accounts": _ACCOUNTS,
        "account_events": schema.ACCOUNT_EVENTS,
        "model_releases": schema.MODEL_RELEASES,
        "hosting_asns": (_C("asn", "BIGINT", "autonomous system that rents out machines"),),
        "members": _MEMBERS,
        "account_days": (_MEMBERS[1], *plugins.columns("account")),
        "ties": TIE_COLUMNS,
    }


def compose(measures: Sequence[Measure], *, available: Mapping[str, frozenset[str]]) -> Composed:
    """One statement for a grain: its key and every measurement's columns, one row a key.

    Parameters
    ----------
    measures : measurements of one grain (one ``key``), in the order of their columns.
    available : relation to the columns that hold at least one value that day. A relation that is missing
        here is not readable; an empty one is named with no columns.

    A measurement whose relations or needs are not available becomes NULLs of its types, with a reason in
    ``skipped``. Needs are columns of ``requests``, or ``relation.column``.

    Raises
    ------
    ValueError : no measures, measures of two grains, or a relation nobody declares.
    """
    if not measures:
        raise ValueError("no measurements to compose")
    key = measures[0].key
    if key not in _SPINES or any(m.key != key for m in measures):
        raise ValueError(f"measurements must share one key of {sorted(_SPINES)}")
    skipped: list[tuple[str, str]] = []
    parts: list[tuple[str, str]] = []
    shared: set[str] = set()
    columns: list[str] = []
    for measure in measures:
        reason = _missing(measure, available)
        if reason:
            skipped.append((measure.name, reason))
            columns += [f"CAST(NULL AS {c.type}) AS {c.name}" for c in measure.columns]
            continue
        shared.update(SHARED.keys() & set(measure.reads))
        part = f"m_{measure.name}"
        parts.append((part, measure.sql))
        columns += [f"CAST({part}.{c.name} AS {c.type}) AS {c.name}" for c in measure.columns]
    spine = (
        "SELECT account_id FROM account_buckets"
        if "account_buckets" in shared and key == "account_id"
        else _SPINES[key]
    )
    ctes = [*_shared(shared), ("spine", spine), *parts]
    joins = [f"LEFT JOIN {part} ON spine.{key} = {part}.{key}" for part, _ in parts]
    select = ",\n    ".join([f"spine.{key}", *columns])
    return Composed(
        f"WITH {_ctes(ctes)}\nSELECT\n    {select}\nFROM spine\n" + "\n".join(joins), tuple(skipped)
    )


def compose_ties(ties: Sequence[Tie], *, available: Mapping[str, frozenset[str]]) -> Composed:
    """One statement for the ties: ``account_id, family, kind, key, n, first_ts, last_ts, detail``.

    ``available`` as in :func:`compose`. Rows without a key or of a kind the plug-in does not declare are
    left out. With nothing to read the statement answers no rows.
    """
    skipped: list[tuple[str, str]] = []
    parts: list[tuple[str, str]] = []
    selects: list[str] = []
    shared: set[str] = set()
    for tie in ties:
        reason = _missing(tie, available)
        if reason:
            skipped.append((tie.name, reason))
            continue
        shared.update(SHARED.keys() & set(tie.reads))
        parts.append((f"t_{tie.name}", tie.sql))
        kinds = ", ".join(_text(kind) for kind in sorted(tie.kinds))
        picked = ", ".join(
            f"{_text(tie.family)} AS family"
            if c.name == "family"
            else f"CAST({c.name} AS {c.type}) AS {c.name}"
            for c in TIE_COLUMNS
        )
        selects.append(f"SELECT {picked}\nFROM t_{tie.name}\nWHERE key IS NOT NULL AND kind IN ({kinds})")
    if not selects:
        empty = ", ".join(f"CAST(NULL AS {c.type}) AS {c.name}" for c in TIE_COLUMNS)
        return Composed(f"SELECT {empty} WHERE 1 = 0", tuple(skipped))
    ctes = [*_shared(shared), *parts]
    return Composed(f"WITH {_ctes(ctes)}\n" + "\nUNION ALL\n".join(selects), tuple(skipped))


def example_result(plugin: Measure | Tie) -> list[dict[str, Any]]:
    """Rows that a plug-in answers for its worked example, on a throw-away DuckDB; for authors and tests.

    Raises
    ------
    ValueError : the example names an unknown relation or column, or lacks a column the plug-in needs.
    """
    return run_on(plugin, plugin.example.tables)


def run_on(plugin: Measure | Tie, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows that a plug-in answers for literal input; columns not named are NULL, relations not named empty.

    Raises
    ------
    ValueError : as :func:`example_result`.
    """
    known = relations()
    unknown = sorted(set(tables) - set(known))
    if unknown:
        raise ValueError(f"{plugin.name}: unknown relations {unknown}; there are {sorted(known)}")
    available = {
        name: frozenset(c for row in tables.get(name, ()) for c, value in row.items() if value is not None)
        for name in known
    }
    composed = (
        compose([plugin], available=available)
        if isinstance(plugin, Measure)
        else compose_ties([plugin], available=available)
    )
    if composed.skipped:
        raise ValueError(f"{plugin.name}: its example cannot be measured: {composed.skipped[0][1]}")
    return run_statement(composed.sql, tables)


def run_statement(sql: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows that a composed statement answers for literal input; relations without rows are empty.

    Raises
    ------
    ValueError : a row names an unknown column.
    """
    import duckdb  # here, so that reading declarations needs no engine

    with duckdb.connect(":memory:") as con:
        for statement in create_macros():
            con.execute(statement).fetchall()
        for name, columns in relations().items():
            if not re.search(rf"\b{name}\b", sql):
                continue
            con.execute(
                f"CREATE TABLE {name} ({', '.join(f'{c.name} {c.type}' for c in columns)})"
            ).fetchall()
            for row in tables.get(name, ()):
                _insert(con, name, columns, row)
        cursor = con.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _insert(con: Any, name: str, columns: tuple[Column, ...], row: Mapping[str, Any]) -> None:
    types = {c.name: c.type for c in columns}
    unknown = sorted(set(row) - set(types))
    if unknown:
        raise ValueError(f"relation {name!r} has no columns {unknown}; it has {sorted(types)}")
    marks = ", ".join(f"CAST(? AS {types[column]})" for column in row)
    con.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", list(row.values())).fetchall()


def _missing(plugin: Measure | Tie, available: Mapping[str, frozenset[str]]) -> str | None:
    """Why a plug-in cannot be measured, or None."""
    for relation in plugin.reads:
        if relation not in READABLE:
            raise ValueError(f"{plugin.name}: unknown relation {relation!r}; there are {sorted(READABLE)}")
        if relation not in SHARED and relation not in available:
            return f"nothing is known of {relation}"
    for need in plugin.needs:
        relation, _, column = need.rpartition(".")
        relation = relation or "requests"
        if column not in available.get(relation, frozenset()):
            return f"{relation} carries no {column} that day"
    return None


def _shared(names: set[str]) -> list[tuple[str, str]]:
    """Shared relations of these names, those they read themselves first."""
    wanted = set(names)
    for name in reversed(list(SHARED)):  # each reads only ones declared before it
        if name in wanted:
            wanted |= {
                other for other in SHARED if other != name and re.search(rf"\b{other}\b", SHARED[name])
            }
    return [(name, sql) for name, sql in SHARED.items() if name in wanted]


def _ctes(parts: Iterable[tuple[str, str]]) -> str:
    return ",\n".join(f"{name} AS (\n{_indent(sql)}\n)" for name, sql in parts)


def _indent(sql: str) -> str:
    return re.sub(r"(?m)^", "    ", sql.strip("\n").rstrip())


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
