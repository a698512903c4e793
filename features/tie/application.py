"""Which application wrote the request's body: its set of tools, its sampling settings.

Both follow from the program that builds the prompt, so they are in one family with its text: an agent's tools and its
system prompt are one fact and not two.
"""

from __future__ import annotations

from features.sharing import met_in_requests
from features.spec import Example, Kind, Tie

_NUMBERS = (
    "coalesce(CAST(round(temperature, 3) AS VARCHAR), '-')",
    "coalesce(CAST(max_tokens AS VARCHAR), '-')",
)

TIE = Tie(
    name="application",
    family="content",
    kinds={
        # A set of tool names that two accounts alone offer is one program, seldom a public one: 5 to 1.
        "tools": Kind(2.3, "offered the model", "set of tools", "sets of tools", spoofable=True),
        # A rare temperature with a rare limit on a model is a setting somebody typed once: 2 to 1.
        "settings": Kind(
            1.0, "sent", "rare combination of settings", "rare combinations of settings", spoofable=True
        ),
    },
    sql=met_in_requests(
        "tools_hash, model, temperature, max_tokens, stream",
        {
            "tools": ("tools_hash", "'the same set of tools'"),
            "settings": (
                "CASE WHEN temperature IS NOT NULL OR max_tokens IS NOT NULL THEN model || '|'"
                f" || {_NUMBERS[0]} || '|' || {_NUMBERS[1]}"
                " || '|' || coalesce(CAST(stream AS VARCHAR), '-') END",
                f"'temperature ' || {_NUMBERS[0]} || ', max_tokens ' || {_NUMBERS[1]}",
            ),
        },
    ),
    reads=("requests", "requests_before"),
    half_life_days=14.0,
    example=Example(
        tables={
            "requests": [
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "model": "m",
                    "temperature": 0.7,
                    "max_tokens": 4096,
                    "tools_hash": "t1",
                },
                {
                    "account_id": "b",
                    "ts": "2026-03-02 09:01:00",
                    "model": "m",
                    "temperature": 0.7,
                    "max_tokens": 4096,
                },
                {"account_id": "c", "ts": "2026-03-02 09:02:00", "model": "m"},
                {"account_id": "d", "ts": "2026-03-02 09:03:00", "model": "m", "tools_hash": "t1"},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "settings", "detail": "temperature 0.7, max_tokens 4096"},
            {"account_id": "b", "kind": "settings", "n": 1},
            {"account_id": "a", "kind": "tools", "n": 1},
            {"account_id": "d", "kind": "tools", "n": 1},
        ],
    ),
    false_positives=(
        "users of one popular agent, which brings its tools along",
        "defaults of a framework or a tutorial",
        "services of one company that share a library",
    ),
)
