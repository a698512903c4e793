"""SQL text that the ties have in common: it reduces the keys of all accounts to those that several accounts hold.

Almost every key has one holder and says nothing, so such keys are dropped here, before they cost storage. A second
account may start to use a key that one account held alone in the days before. Then the row of that first holder comes
out as well, with its uses of those days, so that no meeting is lost. The cost is linear in the uses: a key has several
holders if its least and its greatest account id differ.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Kind of key -> SQL of its value (NULL: no key) and SQL of its label for people.
Kinds = Mapping[str, tuple[str, str]]

_USES = "account_id, kind, key, n, n_prompts, n_prompts_all, asked_sum, first_ts, last_ts, detail"


def uses(used: str, kinds: Kinds) -> str:
    """A SELECT of ``account_id, kind, key, n, ..., detail``: one row for each account and key.

    ``used`` names a relation with ``account_id, n, first_ts, last_ts`` and the columns that ``kinds`` reads.
    Equal values must have equal labels.
    """
    return "\nUNION ALL\n".join(
        f"SELECT account_id, '{kind}' AS kind, key64('{kind}', value) AS key, CAST(sum(n) AS BIGINT) AS n,\n"
        "    CAST(NULL AS BIGINT) AS n_prompts, CAST(NULL AS BIGINT) AS n_prompts_all,\n"
        "    CAST(NULL AS DOUBLE) AS asked_sum,\n"
        "    min(first_ts) AS first_ts, max(last_ts) AS last_ts, min(label) AS detail\n"
        f"FROM (SELECT account_id, n, first_ts, last_ts, {value} AS value, {label} AS label\n"
        f"    FROM {used}) AS {kind}\n"
        "WHERE value IS NOT NULL GROUP BY account_id, value"
        for kind, (value, label) in kinds.items()
    )


def met(today: str, before: str) -> str:
    """A SELECT of the rows of ``today`` whose key another account holds, today or before.

    Both arguments name relations of the shape of :func:`uses`. The row of a sole earlier holder comes along.
    """
    return f"""
WITH held AS (
    SELECT key, min(account_id) AS low, max(account_id) AS high FROM {today} GROUP BY key
),
past AS (
    SELECT key, min(account_id) AS low, max(account_id) AS high
    FROM {before} WHERE key IN (SELECT key FROM held) GROUP BY key
),
kept AS (
    SELECT held.key, CASE WHEN past.low = past.high THEN past.low END AS sole
    FROM held LEFT JOIN past ON held.key = past.key
    WHERE held.low <> held.high OR past.low <> held.low OR past.high <> held.high
),
joined AS (
    SELECT {_rows("t")} FROM {today} AS t JOIN kept ON t.key = kept.key
),
first_holder AS (
    SELECT {_rows("b")} FROM {before} AS b
    JOIN kept ON b.key = kept.key AND b.account_id = kept.sole
    LEFT JOIN {today} AS t ON b.key = t.key AND b.account_id = t.account_id
    WHERE t.account_id IS NULL
)
SELECT {_USES} FROM joined
UNION ALL
SELECT {_USES} FROM first_holder
"""


def used_by(relation: str, columns: str) -> str:
    """A SELECT that counts an account's uses of each combination of ``columns`` of a requests relation."""
    return (
        f"SELECT account_id, {columns}, count(*) AS n, min(ts) AS first_ts, max(ts) AS last_ts\n"
        f"FROM {relation} GROUP BY account_id, {columns}"
    )


def met_in_requests(columns: str, kinds: Kinds) -> str:
    """A whole tie SELECT for keys made of request ``columns``, of the day and of the days before."""
    return f"""
WITH used AS ({used_by("requests", columns)}),
used_before AS ({used_by("requests_before", columns)}),
today AS ({uses("used", kinds)}),
before AS ({uses("used_before", kinds)})
SELECT {_USES} FROM ({met("today", "before")}) AS shared
"""


def met_in_accounts(facts: str, kinds: Kinds, *, lasting: frozenset[str]) -> str:
    """A whole tie SELECT for keys that are lasting facts of accounts.

    ``facts`` is a SELECT of ``account_id`` and the columns that ``kinds`` reads, one row for each fact. A key comes out
    when two accounts hold it and one of them is active that day. For kinds in ``lasting`` the silent holders come out
    too (``n`` 0, times NULL): a card outlives the account that was banned with it.
    """
    silent = " OR ".join(f"kind = '{kind}'" for kind in sorted(lasting)) or "1 = 0"
    return f"""
WITH facts AS ({facts}),
active AS (
    SELECT account_id, count(*) AS n, min(ts) AS first_ts, max(ts) AS last_ts
    FROM requests GROUP BY account_id
),
used AS (
    SELECT facts.*, coalesce(active.n, 0) AS n, active.first_ts, active.last_ts
    FROM facts LEFT JOIN active ON facts.account_id = active.account_id
),
keyed AS ({uses("used", kinds)}),
shared AS (
    SELECT key FROM keyed GROUP BY key
    HAVING min(account_id) <> max(account_id) AND count(first_ts) > 0
)
SELECT {_rows("keyed")} FROM keyed JOIN shared ON keyed.key = shared.key
WHERE first_ts IS NOT NULL OR {silent}
"""


def _rows(alias: str) -> str:
    return ", ".join(f"{alias}.{column.strip()}" for column in _USES.split(","))
