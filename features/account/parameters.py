"""How an account reads the model: log-probabilities, several samples, biased tokens, streams and tools.

Log-probabilities, several samples and biased tokens reveal a teacher's distribution in few calls.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests of a share.
MIN_REQUESTS = 4


def _share(count: str, of: str) -> str:
    return f"CASE WHEN {of} >= {MIN_REQUESTS} THEN {count} * 1.0 / {of} END"


SQL = f"""
SELECT
    account_id,
    {_share("parameters_many", "parameters_n_known")} AS n_gt1_share,
    {_share("parameters_logprobs", "calls")} AS logprobs_share,
    {_share("parameters_biased", "calls")} AS logit_bias_share,
    {_share("parameters_probes", "parameters_probes_known")} AS logit_probe_share,
    CASE WHEN parameters_probes_known > 0 THEN parameters_probes END AS logit_probe_n,
    {_share("parameters_streamed", "parameters_stream_known")} AS stream_share,
    {_share("parameters_tools", "parameters_tools_known")} AS tools_share
FROM tally
"""

MEASURE = Measure(
    name="parameters",
    columns=(
        Column(
            "n_gt1_share",
            "DOUBLE",
            "requests for several answers at once; NULL under 4",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
        Column(
            "logprobs_share",
            "DOUBLE",
            "requests for log-probabilities; NULL under 4",
            "0..1",
            descriptive="classifiers ask for them all day; read as logit_probe_share",
        ),
        Column(
            "logit_bias_share",
            "DOUBLE",
            "requests that bias token probabilities; NULL under 4",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
        Column(
            "logit_probe_share",
            "DOUBLE",
            "requests that look like logit probing; NULL under 4",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
        Column("logit_probe_n", "BIGINT", "those requests", "requests", "up", ("conduct", "single_account")),
        Column(
            "stream_share",
            "DOUBLE",
            "requests with a streamed answer; NULL under 4",
            "0..1",
            descriptive="set by the client library",
        ),
        Column(
            "tools_share",
            "DOUBLE",
            "requests that offer the model tools; NULL under 4",
            "0..1",
            descriptive="set by the client; an agent offers tools always",
        ),
    ),
    sql=SQL,
    reads=("requests", "tally"),
    tally={
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
                    "n": 1,
                    "top_logprobs": 5,
                    "stream": False,
                    "logit_probe": True,
                    "tool_count": 0,
                    "logit_bias": True,
                },
                {
                    "account_id": "a",
                    "n": 1,
                    "top_logprobs": 5,
                    "stream": False,
                    "logit_probe": True,
                    "tool_count": 0,
                },
                {
                    "account_id": "a",
                    "n": 1,
                    "top_logprobs": 5,
                    "stream": False,
                    "logit_probe": True,
                    "tool_count": 0,
                },
                {
                    "account_id": "a",
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
                "n_gt1_share": 0.25,
                "logprobs_share": 0.75,
                "logit_bias_share": 0.25,
                "logit_probe_share": 0.75,
                "logit_probe_n": 3,
                "stream_share": 0.25,
                "tools_share": 0.25,
            },
            {
                "account_id": "bare",
                "n_gt1_share": None,
                "logprobs_share": 0.0,  # a request that does not ask for them asks for none
                "logit_bias_share": 0.0,
                "logit_probe_share": None,
                "logit_probe_n": None,
                "stream_share": None,
                "tools_share": None,
            },
        ],
    ),
    false_positives=(
        "classifiers read the log-probability of a yes or no",
        "calibration research and evaluation harnesses ask for log-probabilities at temperature 0",
        "any program sends the same settings every time",
    ),
)
