"""What a day's measurements may read: relations bound in the engine for as long as the day is worked on.

Everything a statement of the day may name is bound here and nowhere else, and forgotten however the day ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from types import TracebackType

import polars as pl
import pyarrow as pa

import rules
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.pipeline.relations import DAYS_BEFORE, frame, known_accounts, steady
from features import compose, plugins
from features.schema import ELICITATION_KINDS
from features.spec import Measure

#: A prompt that this share of a day's accounts with prompts sends, of at least so many, is a gateway's word for content
#: it does not log. Digits are masked before a prompt is hashed, so a word with a length in it counts as one.
PLACEHOLDER_SHARE, PLACEHOLDER_ACCOUNTS = 0.9, 10


def _placeholders(store: Store, day: date) -> list[int]:
    """Hashes of prompts that nearly every account of the day sends."""
    relation = store.relation("requests", [day])
    rows = store.engine.query(
        f"""
        SELECT prompt_hash, count(DISTINCT account_id) AS n,
            (SELECT count(DISTINCT account_id) FROM {relation} WHERE prompt_hash IS NOT NULL) AS n_all
        FROM {relation} WHERE prompt_hash IS NOT NULL GROUP BY prompt_hash
        HAVING n >= {PLACEHOLDER_ACCOUNTS} AND n >= {PLACEHOLDER_SHARE} * n_all
        ORDER BY prompt_hash
        """,
        of="placeholders",
    )
    return [int(h) for h in rows.column("prompt_hash").to_pylist()]


class DayView:
    """The relations of one day, as they were known at its end. A context manager: they are gone when it is left.

    Bound on entry: ``requests``, ``requests_before`` (``DAYS_BEFORE`` days), ``accounts``, ``account_events``,
    ``model_releases``, ``hosting_asns``. Bound as they are computed: ``account_days``, ``ties``, ``members``.

    ``skipped``: measurements left out so far, each with the reason.
    """

    def __init__(self, store: Store, day: date) -> None:
        self.store = store
        self.day = day
        self.skipped: list[tuple[str, str]] = []
        #: Bound relation -> its columns that hold at least one value.
        self._available: dict[str, frozenset[str]] = {}
        self._bound: list[str] = []

    def __enter__(self) -> DayView:
        try:
            self._bind_all()
        except BaseException:
            self._unbind()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unbind()

    def bind(self, name: str, rows: pl.DataFrame) -> None:
        """Let later statements of the day read ``rows`` as ``name``. Ties of which there are none are not there: what
        needs them is left out."""
        self._bound.append(name)
        self.store.engine.bind(name, rows)
        self._available[name] = frozenset(rows.columns) if len(rows) or name != "ties" else frozenset()

    def measure(self, grain: plugins.Grain) -> pl.DataFrame:
        """Every measurement of a grain, one row a key; what had to be left out is added to ``skipped``."""
        measures = plugins.measures(grain)
        if grain == "group":
            self._gather_members(measures)
        # Measurements of accounts read the same few counts; those of groups have nothing in common but what each would
        # then wait for the others with: in one statement they need the memory of all.
        each = [measures] if grain == "account" else [(measure,) for measure in measures]
        rows: pl.DataFrame | None = None
        for some in each:
            composed = compose.compose(some, available=self._available)
            self.skipped += composed.skipped
            part = frame(self.store.engine.query(composed.sql, of=f"{grain} measurements"))
            rows = part if rows is None else rows.join(part, on=part.columns[0], how="left")
        assert rows is not None
        return steady(rows).sort(rows.columns[0])

    def _gather_members(self, measures: Sequence[Measure]) -> None:
        """Bind ``member_requests``, with the columns that ``measures`` name: members are few, and each measurement would
        else look for them among the requests of all."""
        named = set(re.findall(r"\w+", " ".join(m.sql for m in measures if "member_requests" in m.reads)))
        columns = [c.name for c in compose.relations()["requests"] if c.name in named | {"account_id"}]
        selected = ", ".join(f"requests.{name}" for name in columns)
        self._bound.append("member_requests")
        self.store.engine.materialise(
            "member_requests",
            f"""(SELECT members.group_id, {selected} FROM members
            JOIN requests ON members.account_id = requests.account_id)""",
        )
        self._available["member_requests"] = frozenset(columns)

    def ties(self) -> pl.DataFrame:
        """The table ``ties`` of the day; each plug-in is a statement, so that memory is the largest one's."""
        each = []
        for tie in plugins.ties():
            composed = compose.compose_ties([tie], available=self._available)
            self.skipped += composed.skipped
            each.append(steady(frame(self.store.engine.query(composed.sql, of="ties"))))
        names = [n for n in tables()["ties"].names if n != "day"]
        return pl.concat(each).select(pl.lit(self.day).alias("day"), *names).sort("account_id", "kind", "key")

    def skipped_rows(self) -> pl.DataFrame:
        """The table ``skipped`` of the day, without its partition column."""
        return pl.DataFrame(
            sorted(set(self.skipped)), schema={"plugin": pl.String, "reason": pl.String}, orient="row"
        )

    def _bind_all(self) -> None:
        """Bind what is in the lake, and see which columns hold values."""
        store, day = self.store, self.day
        end = day + timedelta(days=1)
        before = [d for d in store.days("requests") if day - timedelta(days=DAYS_BEFORE) <= d < day]
        placeholders = _placeholders(store, day)
        if placeholders:
            shown = ", ".join(f"{p:016x}" for p in placeholders)
            self.skipped.append(
                (
                    "content",
                    f"nearly every account sends the same prompt (prompt_hash {shown}): a placeholder, not measured",
                )
            )
        read: dict[str, str | pa.Table] = {
            "requests": _without(store.relation("requests", [day]), placeholders),
            "requests_before": _without(store.relation("requests", before), placeholders),
            "hosting_asns": hosting_asns(),
        }
        kept = {
            "accounts": known_accounts(store, day),
            "account_events": f"""(SELECT DISTINCT ts, account_id, event FROM {store.relation("account_events")}
                WHERE ts < DATE '{end}')""",
            "model_releases": f"""(SELECT model, min(released_at) AS released_at FROM {store.relation("model_releases")}
                WHERE released_at < DATE '{end}' GROUP BY model)""",
        }
        for name, relation in read.items():
            self._bound.append(name)
            store.engine.bind(name, relation)
        for name, sql in kept.items():
            self._bound.append(name)
            store.engine.materialise(name, sql)
        self._available = {name: _filled(store, name) for name in (*read, *kept)}

    def _unbind(self) -> None:
        for name in self._bound:
            self.store.engine.unbind(name)
        self._bound.clear()


#: What is measured of a prompt, and so not known where the prompt is a placeholder.
_OF_PROMPT = (
    "prompt_chars", "prompt_words", "prompt_lines", "prompt_hash", "template_id", "prompt_sketch", "content_keys",
    "elicitation_score", *(f"elicit_{kind}" for kind in ELICITATION_KINDS), "capability", "language",
)  # fmt: skip


def _without(relation: str, placeholders: list[int]) -> str:
    """SQL of ``relation`` with what was measured of placeholders as NULL."""
    if not placeholders:
        return relation
    listed = ", ".join(f"{p}::UBIGINT" for p in placeholders)
    replaced = ", ".join(f"CASE WHEN is_placeholder THEN NULL ELSE {c} END AS {c}" for c in _OF_PROMPT)
    return f"""(SELECT * EXCLUDE (is_placeholder) REPLACE ({replaced}) FROM (
        SELECT *, coalesce(prompt_hash IN ({listed}), false) AS is_placeholder FROM {relation}))"""


def _filled(store: Store, name: str) -> frozenset[str]:
    """Columns of a bound relation that hold at least one value, of those that a plug-in may be skipped for.

    Only these are looked at: counting every column of the days before costs half of what measuring does.
    """
    names = {r["column_name"] for r in store.engine.query(f"DESCRIBE {name}").to_pylist()}
    columns = sorted(names & plugins.needed(name))
    if not columns:
        return frozenset()
    counted = store.engine.query(
        "SELECT " + ", ".join(f'count("{c}") AS "{c}"' for c in columns) + f" FROM {name}"
    )
    return frozenset(c for c, n in counted.to_pylist()[0].items() if n)


def hosting_asns() -> pa.Table:
    """Operators that rent out machines, as the shipped list has them."""
    raw = json.loads(rules.read_bytes("allowlists/hosting_asns.json"))
    return pa.table({"asn": pa.array([int(entry["asn"]) for entry in raw["asns"]], pa.int64())})
