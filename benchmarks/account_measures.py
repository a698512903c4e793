"""Cost of each account measurement, as a ratio to a bare count and sum on the same Parquet.

    python benchmarks/account_measures.py [--rows 2000000] [--accounts 60000] [--only NAME ...]

SQL makes the rows from hashes: heavy-tailed account volumes, bursts, sessions, shared and private templates, 25
content keys for each request. The seven days before are the same rows seven times, moved in time. Ratios are of process
CPU time (user and system) on one thread, and the median of the repeats counts. The floor is timed before and after
every statement, because the speed of a shared machine changes from minute to minute.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import duckdb

from features import compose, plugins
from features.spec import Measure

FLOOR = "SELECT account_id, count(*), sum(output_tokens) FROM requests GROUP BY 1"

#: A request is row ``i``; ``h(i, salt)`` is a hash, ``u(i, salt)`` uniform in 0..1.
MAKE = """
WITH drawn AS (
    SELECT i,
        -- volumes fall off with the square of a uniform: few heavy accounts, many light ones
        CAST(floor(power(u(i, 1), 2.5) * {accounts}) AS BIGINT) AS account,
        u(i, 2) AS moment, u(i, 3) AS topic, u(i, 4) AS size
    FROM range({rows}) AS t(i)
), shaped AS (
    SELECT *,
        -- an account's day starts at its own hour and lasts six to eighteen hours
        u(account, 5) * 86400 + moment * (21600 + 43200 * u(account, 6)) AS second,
        -- half of the traffic uses one of 2,000 common templates, the rest the account's own five
        CASE WHEN topic < 0.5 THEN h(CAST(floor(u(i, 7) * 2000) AS BIGINT), 8)
             ELSE h(account * 5 + CAST(floor(u(i, 7) * 5) AS BIGINT), 9) END AS template,
        CASE WHEN u(i, 10) < 0.15 THEN h(account, 11) ELSE h(i, 12) END AS prompt
    FROM drawn
)
SELECT
    CAST(i AS VARCHAR) AS request_id,
    TIMESTAMP '2026-03-02' + to_microseconds(CAST(second * 1000000 AS BIGINT) % 86400000000) AS ts,
    DATE '2026-03-02' AS day,
    'user-' || substr(md5('a' || account), 1, 20) AS account_id,
    'model-' || CAST(floor(power(u(account, 13), 3) * 6 + u(i, 13) * 1.2) AS INTEGER) AS model,
    md5('key' || account) AS api_key_hash,
    CAST(NULL AS VARCHAR) AS org_id,
    md5('user' || (account * 3 + h(i, 14) % 3)) AS end_user_hash,
    md5('ip' || (account * 2 + h(i, 15) % 2)) AS ip_hash,
    concat('198.51.', (account * 2 + h(i, 15) % 2) % 251, '.0/24') AS ip_prefix,
    CAST(64500 + account % 400 AS BIGINT) AS asn,
    'ZZ' AS country,
    'client/' || (account % 40) AS user_agent,
    'ja4-' || (account % 60) AS ja4,
    'api' AS pathway,
    'chat' AS operation,
    CAST(1 + h(i, 16) % 5 AS INTEGER) AS turn,
    md5('session' || account || '-' || CAST(floor(second / 900) AS BIGINT)) AS session_hash,
    CAST(50 + exp(size * 8) AS BIGINT) AS input_tokens,
    CAST(20 + exp(u(i, 17) * 7) AS BIGINT) AS output_tokens,
    CAST(0 AS BIGINT) AS cached_tokens, CAST(0 AS BIGINT) AS reasoning_tokens,
    300 + exp(u(i, 18) * 10) AS latency_ms, 200.0 AS ttft_ms,
    CASE WHEN u(i, 19) < 0.03 THEN 429 ELSE 200 END AS status,
    CASE WHEN u(i, 20) < 0.01 THEN 'refusal' ELSE 'stop' END AS finish_reason,
    u(account, 21) < 0.6 AS stream,
    CASE WHEN u(account, 22) < 0.5 THEN NULL ELSE CAST(h(account, 23) % 10 AS DOUBLE) / 10 END AS temperature,
    CASE WHEN u(account, 24) < 0.5 THEN 4096 ELSE 512 * (1 + h(i, 24) % 4) END AS max_tokens,
    1 AS n, CAST(NULL AS INTEGER) AS top_logprobs, false AS logit_bias,
    CAST(h(account, 25) % 5 AS INTEGER) AS tool_count, CAST(NULL AS VARCHAR) AS tools_hash, 0 AS n_images,
    CAST(prompt AS UBIGINT) AS prompt_hash, CAST(h(account % 3000, 26) AS UBIGINT) AS system_hash,
    CAST(template AS UBIGINT) AS template_id, CAST(10 + size * 90 AS INTEGER) AS prompt_words,
    -- a 60-word prompt as ingest keeps it: half of its pieces belong to the template, half to the filling
    list_concat(
        [(prompt // 16) * 16, (h(template // 3, 1) // 16) * 16 + 1, (h(template, 2) // 16) * 16 + 2,
         (h(template // 7, 3) // 16) * 16 + 3,
         (h(CASE WHEN topic < 0.3 THEN template ELSE prompt END, 4) // 16) * 16 + 4],
        pieces(2, 1, template, prompt, 50, 5),
        pieces(8, 4, template, prompt, 60, 6),
        pieces(8, 3, template, prompt, 70, 7),
        [(h(account % 3000, 26) // 16) * 16 + 8, (template // 16) * 16 + 10]
    )::UBIGINT[] AS content_keys,
    power(u(i, 27), 4) AS elicitation_score,
    power(u(i, 28), 4) AS elicit_cot, power(u(i, 29), 4) AS elicit_pairs,
    power(u(i, 30), 4) AS elicit_grading,
    power(u(i, 31), 4) AS elicit_rewrite, power(u(i, 32), 4) AS elicit_trace,
    list_extract(['coding', 'reasoning', 'agentic', 'data', 'writing', 'general'],
                 1 + CAST((h(account, 33) + h(i, 33) % 2) % 6 AS INTEGER)) AS capability,
    'en' AS language, false AS logit_probe
FROM shaped
"""


def make(path: Path, rows: int, accounts: int) -> None:
    """Write the synthetic day to one Parquet file, in order of time as in a log."""
    with duckdb.connect(":memory:") as con:
        con.execute("SET enable_progress_bar = false").fetchall()
        con.execute("CREATE MACRO h(i, salt) AS hash(i, salt) & 4611686018427387903").fetchall()
        con.execute(
            "CREATE MACRO pieces(n, own, template, prompt, salt, kind) AS list_transform(range(n),"
            " lambda j: (h(CASE WHEN j < own THEN template ELSE prompt END, salt + j) // 16) * 16 + kind)"
        ).fetchall()
        con.execute("CREATE MACRO u(i, salt) AS (hash(i, salt, 77) >> 11) / 9007199254740992.0").fetchall()
        con.execute(
            f"COPY ({MAKE.format(rows=rows, accounts=accounts)} ORDER BY ts) TO '{path}' (COMPRESSION zstd)"
        ).fetchall()


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A one-thread connection with every relation of the account grain bound."""
    con = duckdb.connect(":memory:", config={"threads": 1})
    con.execute("SET enable_progress_bar = false").fetchall()
    for statement in compose.create_macros():
        con.execute(statement).fetchall()
    con.execute(f"CREATE VIEW requests AS SELECT * FROM read_parquet('{path}')").fetchall()
    moved = " UNION ALL ".join(
        f"SELECT * REPLACE (ts - INTERVAL {d} DAY AS ts, day - {d} AS day) FROM read_parquet('{path}')"
        for d in range(1, 8)
    )
    con.execute(f"CREATE VIEW requests_before AS {moved}").fetchall()
    con.execute(
        "CREATE TABLE accounts AS SELECT account_id, TIMESTAMP '2026-01-01' AS created_at, 'payg' AS program,"
        " 'api' AS pathway, true AS verified FROM (SELECT DISTINCT account_id FROM requests)"
    ).fetchall()
    con.execute("CREATE TABLE hosting_asns AS SELECT 64500 + i AS asn FROM range(40) AS t(i)").fetchall()
    return con


def cpu_seconds(con: duckdb.DuckDBPyConnection, sql: str) -> float:
    """CPU time of a statement whose rows the engine keeps."""
    before = time.process_time()
    con.execute(f"CREATE OR REPLACE TEMP TABLE answered AS {sql}").fetchall()
    return time.process_time() - before


def against_floor(con: duckdb.DuckDBPyConnection, sql: str, repeats: int) -> tuple[float, float]:
    """Median CPU seconds of a statement, and its median ratio to the mean of the floors around it."""
    times: list[float] = []
    ratios: list[float] = []
    for _ in range(repeats):
        floors = [cpu_seconds(con, FLOOR) for _ in range(3)]
        times.append(cpu_seconds(con, sql))
        floors += [cpu_seconds(con, FLOOR) for _ in range(3)]
        ratios.append(times[-1] / statistics.mean(floors))
    return statistics.median(times), statistics.median(ratios)


def statement(measures: Iterable[Measure]) -> str:
    """The composed statement, as if every column were available."""
    available = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}
    return compose.compose(list(measures), available=available).sql


def main() -> None:
    """Make the rows, time the floor, each plug-in and the whole grain, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--accounts", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=None, help="plug-ins to time; default all and the grain")
    parser.add_argument("--keep", type=Path, default=None, help="keep (or find) the made file here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = chosen.keep or Path(scratch) / "requests.parquet"
        if not path.exists():
            make(path, chosen.rows, chosen.accounts)
        con = connect(path)
        con.execute(
            FLOOR
        ).fetchall()  # a first read, so that every timed one finds the file in the page cache
        floor = statistics.median(cpu_seconds(con, FLOOR) for _ in range(7))
        print(f"{'floor':<14}{floor:8.3f} s CPU   {chosen.rows:,} rows, {chosen.accounts:,} accounts")
        measures = plugins.measures("account")
        for measure in measures:
            if chosen.only is None or measure.name in chosen.only:
                seconds, ratio = against_floor(con, statement([measure]), chosen.repeats)
                print(f"{measure.name:<14}{seconds:8.3f} s CPU {ratio:6.1f} x floor", flush=True)
        if chosen.only is None:
            for label, history in (("whole grain", True), ("no history", False)):
                if not history:  # as on the first day of a lake; the history has seven times as many rows
                    con.execute("CREATE OR REPLACE VIEW requests_before AS FROM requests LIMIT 0").fetchall()
                seconds, ratio = against_floor(con, statement(measures), chosen.repeats)
                print(f"{label:<14}{seconds:8.3f} s CPU {ratio:6.1f} x floor")
            print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")
        con.close()


if __name__ == "__main__":
    main()
