"""How much of what an account asks for is training material.

With a mean an operator could hide ten harvest requests among ninety ordinary ones. So the score is a high order
statistic, and there are plain counts, which ordinary traffic cannot dilute.
"""

from __future__ import annotations

from features.schema import ELICITATION_KINDS
from features.spec import Column, Example, Measure

#: Elicitation score from which a request counts as elicitation. Ingest gives it as a probability.
ELICITED = 0.5
#: Fewest scored requests of a ninetieth percentile.
MIN_REQUESTS = 3

_KINDS = [f"elicitation_{kind}" for kind in ELICITATION_KINDS]
_SHARES = ",\n    ".join(
    f"CASE WHEN elicitation_scored >= {MIN_REQUESTS} THEN CAST(elicitation_{kind} AS DOUBLE) / elicitation_scored END"
    f" AS elicit_{kind}_share"
    for kind in ELICITATION_KINDS
)
_TOP = "\n         ".join(
    f"WHEN elicitation_{kind} = greatest({', '.join(_KINDS)}) THEN '{kind}'" for kind in ELICITATION_KINDS
)

SQL = f"""
SELECT
    account_id,
    CASE WHEN elicitation_scored >= {MIN_REQUESTS} THEN elicitation_high END AS elicitation_score,
    CASE WHEN elicitation_scored >= {MIN_REQUESTS} THEN elicitation_top END AS elicitation_top_score,
    CASE WHEN elicitation_scored >= {MIN_REQUESTS}
        THEN CAST(elicitation_clear AS DOUBLE) / elicitation_scored END AS elicited_share,
    CASE WHEN elicitation_scored > 0 THEN elicitation_clear END AS elicited_n,
    elicitation_total AS elicitation_sum,
    CASE WHEN greatest({", ".join(_KINDS)}) = 0 THEN NULL
         {_TOP} END AS elicit_kind_top,
    {_SHARES}
FROM tally
"""

_DAY = "2026-03-02 10:00:0"
MEASURE = Measure(
    name="elicitation",
    columns=(
        Column(
            "elicitation_score",
            "DOUBLE",
            "90th percentile of its requests' elicitation scores; NULL under 3 requests",
            "0..1",
            descriptive="fixed column for people; the classifier reads the sum, the share and the top",
        ),
        Column(
            "elicitation_top_score",
            "DOUBLE",
            "mean of its five highest elicitation scores; NULL under 3 requests",
            "0..1",
            "up",
            ("conduct",),
        ),
        Column(
            "elicited_share",
            "DOUBLE",
            "requests with an elicitation score of 0.5 or more; NULL under 3 requests",
            "0..1",
            "up",
            ("conduct",),
        ),
        Column(
            "elicited_n",
            "BIGINT",
            "those requests; ordinary traffic cannot dilute it",
            "requests",
            descriptive="the count behind elicited_share",
        ),
        Column(
            "elicitation_sum",
            "DOUBLE",
            "sum of its requests' elicitation scores",
            "requests",
            "up",
            ("conduct",),
        ),
        Column(
            "elicit_kind_top",
            "VARCHAR",
            "kind asked for most: " + ", ".join(ELICITATION_KINDS),
            descriptive="a name for people; the classifier reads the shares of the kinds",
        ),
        *(
            Column(
                f"elicit_{kind}_share",
                "DOUBLE",
                f"requests of kind {kind}; NULL under 3 requests",
                "0..1",
                "up",
                ("conduct",),
            )
            for kind in ELICITATION_KINDS
        ),
    ),
    sql=SQL,
    reads=("requests", "tally"),
    tally={
        "elicitation_scored": "count(elicitation_score)",
        "elicitation_clear": f"count(CASE WHEN elicitation_score >= {ELICITED} THEN 1 END)",
        "elicitation_total": "sum(elicitation_score)",
        "elicitation_high": "quantile_of(elicitation_score, 0.9)",
        "elicitation_top": "mean_of(top_of(elicitation_score, 5))",
        **{
            f"elicitation_{kind}": f"count(CASE WHEN elicit_{kind} >= {ELICITED} THEN 1 END)"
            for kind in ELICITATION_KINDS
        },
    },
    needs=("elicitation_score",),
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "ts": _DAY + "0", "elicitation_score": 0.9, "elicit_cot": 0.9},
                {"account_id": "a", "ts": _DAY + "1", "elicitation_score": 0.7, "elicit_cot": 0.6},
                {"account_id": "a", "ts": _DAY + "2", "elicitation_score": 0.5, "elicit_pairs": 0.5},
                {"account_id": "a", "ts": _DAY + "3", "elicitation_score": 0.1, "elicit_cot": 0.1},
                {"account_id": "a", "ts": _DAY + "4", "elicitation_score": 0.0, "elicit_cot": 0.0},
                {"account_id": "a", "ts": _DAY + "5", "elicitation_score": 0.0},
                {"account_id": "few", "ts": _DAY + "0", "elicitation_score": 0.8, "elicit_grading": 0.8},
                {"account_id": "unscored", "ts": _DAY + "0"},
            ]
        },
        expect=[
            {
                "account_id": "a",
                "elicitation_score": 0.8,  # position 4.5 of 0, 0, 0.1, 0.5, 0.7, 0.9
                "elicitation_top_score": 0.44,  # (0.9 + 0.7 + 0.5 + 0.1 + 0) / 5
                "elicited_share": 0.5,
                "elicited_n": 3,
                "elicitation_sum": 2.2,
                "elicit_kind_top": "cot",
                "elicit_cot_share": 2 / 6,
                "elicit_pairs_share": 1 / 6,
                "elicit_grading_share": 0.0,
                "elicit_rewrite_share": 0.0,
                "elicit_trace_share": 0.0,
            },
            {
                "account_id": "few",
                "elicitation_score": None,
                "elicitation_top_score": None,
                "elicited_share": None,
                "elicited_n": 1,
                "elicit_kind_top": "grading",
                "elicit_grading_share": None,
            },
            {
                "account_id": "unscored",
                "elicitation_score": None,
                "elicited_n": None,
                "elicitation_sum": None,
                "elicit_kind_top": None,
            },
        ],
    ),
    false_positives=(
        "an evaluation harness asks for step-by-step reasoning in every request",
        "graders and quality checks over a company's own answers",
        "teachers and tutoring products that want the reasoning written out",
        "customers who make synthetic training data with permission",
    ),
)
