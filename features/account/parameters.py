"""How an account sets the model: sampling, limits, log-probabilities, and whether it ever changes them.

Log-probabilities, several samples and biased tokens reveal a teacher's distribution in few calls. Settings that never
change are a program's; the settings of people's clients change with model, task and version.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests of a share.
MIN_REQUESTS = 4


def _share(count: str, of: str) -> str:
    return f"CASE WHEN {of} >= {MIN_REQUESTS} THEN {count} * 1.0 / {of} END"


def _median(value: str) -> str:
    """SQL of a setting's median from its counts: the lowest value that half of the requests do not exceed."""
    return f"""
    SELECT bucket, count(*) AS n_values, min(CASE WHEN 2 * reached >= total THEN {value} END) AS median
    FROM (
        SELECT
            bucket, {value},
            sum(calls) OVER (PARTITION BY bucket ORDER BY {value}) AS reached,
            sum(calls) OVER (PARTITION BY bucket) AS total
        FROM (
            SELECT bucket, {value}, sum(calls) AS calls
            FROM facets WHERE {value} IS NOT NULL
            GROUP BY bucket, {value}
        ) AS counted
    ) AS ordered
    GROUP BY bucket"""


SQL = f"""
WITH temperatures AS ({_median("temperature")}
), limits AS ({_median("max_tokens")}
), settings AS (
    SELECT bucket, sum(calls) AS n_alike
    FROM facets
    GROUP BY bucket, temperature, max_tokens, n, top_logprobs, stream
), constant AS (
    SELECT bucket, max(n_alike) AS most FROM settings GROUP BY bucket
)
SELECT
    account_id,
    temperatures.median AS temperature_median,
    temperatures.n_values AS n_temperatures,
    limits.median AS max_tokens_median,
    {_share("parameters_many", "parameters_n_known")} AS n_gt1_share,
    {_share("parameters_logprobs", "calls")} AS logprobs_share,
    {_share("parameters_biased", "calls")} AS logit_bias_share,
    {_share("parameters_probes", "parameters_probes_known")} AS logit_probe_share,
    CASE WHEN parameters_probes_known > 0 THEN parameters_probes END AS logit_probe_n,
    {_share("parameters_streamed", "parameters_stream_known")} AS stream_share,
    {_share("parameters_tools", "parameters_tools_known")} AS tools_share,
    CASE WHEN parameters_set >= {MIN_REQUESTS} THEN CAST(most AS DOUBLE) / calls END AS params_constant_share
FROM tally
JOIN constant ON tally.bucket = constant.bucket
LEFT JOIN temperatures ON tally.bucket = temperatures.bucket
LEFT JOIN limits ON tally.bucket = limits.bucket
"""

MEASURE = Measure(
    name="parameters",
    columns=(
        Column("temperature_median", "DOUBLE", "median sampling temperature, where set (the lower of two)"),
        Column("n_temperatures", "BIGINT", "different temperatures set; NULL where none is", "values"),
        Column(
            "max_tokens_median",
            "DOUBLE",
            "median limit on the answer, where set (the lower of two)",
            "tokens",
        ),
        Column("n_gt1_share", "DOUBLE", "requests for several answers at once; NULL under 4", "0..1"),
        Column("logprobs_share", "DOUBLE", "requests for log-probabilities; NULL under 4", "0..1"),
        Column("logit_bias_share", "DOUBLE", "requests that bias token probabilities; NULL under 4", "0..1"),
        Column("logit_probe_share", "DOUBLE", "requests that look like logit probing; NULL under 4", "0..1"),
        Column("logit_probe_n", "BIGINT", "those requests", "requests"),
        Column("stream_share", "DOUBLE", "requests with a streamed answer; NULL under 4", "0..1"),
        Column("tools_share", "DOUBLE", "requests that offer the model tools; NULL under 4", "0..1"),
        Column(
            "params_constant_share",
            "DOUBLE",
            "requests with the most frequent combination of temperature, max_tokens, n, top_logprobs and"
            " stream; NULL where fewer than 4 set any",
            "0..1",
        ),
    ),
    sql=SQL,
    reads=("requests", "tally", "facets"),
    tally={
        "parameters_set": "count(coalesce(temperature, max_tokens, n, top_logprobs))",
        "parameters_many": "count(CASE WHEN n > 1 THEN 1 END)",
        "parameters_n_known": "count(n)",
        "parameters_logprobs": "count(CASE WHEN top_logprobs > 0 THEN 1 END)",
        "parameters_biased": "count(CASE WHEN logit_bias THEN 1 END)",
        "parameters_probes": "count(CASE WHEN logit_probe THEN 1 END)",
        "parameters_probes_known": "count(logit_probe)",
        "parameters_streamed": "count(CASE WHEN stream THEN 1 END)",
        "parameters_stream_known": "count(stream)",
        "parameters_tools": "count(CASE WHEN tool_count > 0 THEN 1 END)",
        "parameters_tools_known": "count(tool_count)",
    },
    example=Example(
        tables={
            "requests": [
                {
                    "account_id": "a",
                    "temperature": 0.0,
                    "max_tokens": 1,
                    "n": 1,
                    "top_logprobs": 5,
                    "stream": False,
                    "logit_probe": True,
                    "tool_count": 0,
                    "logit_bias": True,
                },
                {
                    "account_id": "a",
                    "temperature": 0.0,
                    "max_tokens": 1,
                    "n": 1,
                    "top_logprobs": 5,
                    "stream": False,
                    "logit_probe": True,
                    "tool_count": 0,
                },
                {
                    "account_id": "a",
                    "temperature": 0.0,
                    "max_tokens": 1,
                    "n": 1,
                    "top_logprobs": 5,
                    "stream": False,
                    "logit_probe": True,
                    "tool_count": 0,
                },
                {
                    "account_id": "a",
                    "temperature": 1.0,
                    "max_tokens": 99,
                    "n": 4,
                    "stream": True,
                    "logit_probe": False,
                    "tool_count": 2,
                },
                {"account_id": "bare"},
                {"account_id": "bare"},
                {"account_id": "bare"},
                {"account_id": "bare"},
            ]
        },
        expect=[
            {
                "account_id": "a",
                "temperature_median": 0.0,
                "n_temperatures": 2,
                "max_tokens_median": 1.0,
                "n_gt1_share": 0.25,
                "logprobs_share": 0.75,
                "logit_bias_share": 0.25,
                "logit_probe_share": 0.75,
                "logit_probe_n": 3,
                "stream_share": 0.25,
                "tools_share": 0.25,
                "params_constant_share": 0.75,
            },
            {
                "account_id": "bare",
                "temperature_median": None,
                "n_temperatures": None,
                "max_tokens_median": None,
                "n_gt1_share": None,
                "logprobs_share": 0.0,  # a request that does not ask for them asks for none
                "logit_bias_share": 0.0,
                "logit_probe_share": None,
                "logit_probe_n": None,
                "stream_share": None,
                "tools_share": None,
                "params_constant_share": None,
            },
        ],
    ),
    false_positives=(
        "classifiers read the log-probability of a yes or no",
        "calibration research and evaluation harnesses ask for log-probabilities at temperature 0",
        "any program sends the same settings every time",
    ),
)
