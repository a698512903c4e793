"""Every table of the lake: columns, partition, who writes it.

One table has one writer. Tables partitioned by day are swapped whole when their day is run again;
state tables hold, in each day's partition, everything known at the end of that day, so the newest
partition is the present.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from features import plugins, relations, schema
from features.spec import Column

_C = Column
_GROUP = _C("group_id", "VARCHAR", "the group; kept while most of its members stay")
_ACCOUNT = _C("account_id", "VARCHAR", "the account")
_DAY = _C("day", "DATE", "partition: UTC day")


@dataclass(frozen=True)
class Table:
    """A table: its columns, how it is laid out and which stage writes it.

    ``layout``: ``day`` - one partition a day; ``state`` - one partition a day that holds everything known
    by then; ``ledger`` - parts that are only ever added.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    layout: Literal["day", "state", "ledger"]
    writer: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


def _with(columns: tuple[Column, ...], *extra: Column) -> tuple[Column, ...]:
    return (*columns, *extra)


ACCOUNTS = (
    *relations.ACCOUNTS,
    _C("file_id", "VARCHAR", "file it came from"),
    _C("line", "BIGINT", "line in that file"),
)

_STATIC: tuple[Table, ...] = (
    Table(
        "requests", "one row a request: metadata and measurements, no text", schema.REQUESTS, "day", "ingest"
    ),
    Table("accounts", "facts about accounts, each row valid from a time on", ACCOUNTS, "ledger", "ingest"),
    Table(
        "account_events",
        "what happened to accounts: created, banned, ...",
        _with(
            schema.ACCOUNT_EVENTS, _C("file_id", "VARCHAR", "file"), _C("line", "BIGINT", "line in that file")
        ),
        "ledger",
        "ingest",
    ),
    Table(
        "model_releases",
        "when the public could first call a model",
        _with(
            schema.MODEL_RELEASES, _C("file_id", "VARCHAR", "file"), _C("line", "BIGINT", "line in that file")
        ),
        "ledger",
        "ingest",
    ),
    Table(
        "templates",
        "skeletons of prompts: stock words stand, everything else is masked",
        (
            _C("template_id", "UBIGINT", "keyed hash of the skeleton"),
            _C("skeleton", "VARCHAR", "the skeleton, only words of the shipped stock list in clear"),
            _C("file_id", "VARCHAR", "file it was met in for the second time"),
        ),
        "ledger",
        "ingest",
    ),
    Table(
        "files",
        "one row a log file: read, passed over or unreadable",
        (
            _C("file_id", "VARCHAR", "hash of the file's bytes; NULL: they were not read"),
            _C("path", "VARCHAR", "where it lay, in full; bytes that are not UTF-8 as backslash escapes"),
            _C(
                "status",
                "VARCHAR",
                "read, passed (nothing to read: hidden, empty, ignored, no log) or unreadable; NULL: read, by an "
                "older version",
            ),
            _C("reason", "VARCHAR", "why it was passed over or could not be read (to its end)"),
            _C("format", "VARCHAR", "native, otel, litellm, bedrock, envoy"),
            _C("content", "VARCHAR", "requests, accounts, account_events or model_releases"),
            _C("n_bytes", "BIGINT", "size as stored", "bytes"),
            _C("n_lines", "BIGINT", "entries read = requests + rejects + duplicates"),
            _C("n_requests", "BIGINT", "rows kept (requests, or rows of the other contents)"),
            _C("n_rejects", "BIGINT", "entries kept aside in rejects"),
            _C(
                "n_duplicates",
                "BIGINT",
                "entries that were already there: same request id, account and second",
            ),
            _C(
                "n_other",
                "BIGINT",
                "entries that are not model calls (tool or HTTP spans), not counted as lines",
            ),
            _C("n_unknown_keys", "BIGINT", "keys of the log that no column takes"),
            _C("first_ts", "TIMESTAMP", "earliest request", "UTC"),
            _C("last_ts", "TIMESTAMP", "latest request", "UTC"),
            _C("reject_codes", "VARCHAR", "rejected lines by code, as a JSON object"),
            _C("future_from", "TIMESTAMP", "earliest line set aside as `future`", "UTC"),
            _C("late_to", "TIMESTAMP", "latest line set aside as `late`", "UTC"),
            _C("settings", "VARCHAR", "settings it was read under, as a JSON object; NULL: those of today"),
            _C("settings_digest", "VARCHAR", "hash of those settings"),
            _C("ingested_at", "TIMESTAMP", "when it was read, or last passed over", "UTC"),
            _C("reread_at", "TIMESTAMP", "when it was last read again; NULL: never", "UTC"),
        ),
        "ledger",
        "ingest",
    ),
    Table(
        "rejects",
        "lines that were not taken, with the reason",
        (
            _C("file_id", "VARCHAR", "file"),
            _C("path", "VARCHAR", "where it lay"),
            _C("line", "BIGINT", "line (or entry) in that file, from 1; of several the first"),
            _C("code", "VARCHAR", "what was wrong, as one word"),
            _C("reason", "VARCHAR", "what was wrong"),
            _C("field", "VARCHAR", "the field at fault, where one was"),
            _C("n_bytes", "BIGINT", "length of the line, or of all of them", "bytes"),
            _C(
                "n",
                "BIGINT",
                "lines this row stands for: a run of blank ones, or all beyond the 10,000 kept a file; NULL: one",
            ),
        ),
        "ledger",
        "ingest",
    ),
    Table(
        "ties",
        "which account held which key on which day",
        (
            _DAY,
            *relations.TIE_COLUMNS,
        ),
        "day",
        "run",
    ),
    Table(
        "groups",
        "every group ever found, in its state at the end of the day",
        (
            _DAY,
            _GROUP,
            _C(
                "score",
                "DOUBLE",
                "calibrated probability that it is one abusive operation, worst of its life",
                "0..1",
            ),
            _C("verdict", "VARCHAR", "clear, watch or alert, worst of its life"),
            _C(
                "kind",
                "VARCHAR",
                "distillation, logit_extraction, key_compromise, key_sharing, resale, other",
            ),
            _C("state", "VARCHAR", "active, silent or merged"),
            _C("successor_id", "VARCHAR", "group it was merged into"),
            _C("n_accounts", "BIGINT", "members, all time"),
            _C("n_requests", "BIGINT", "requests of its members while members"),
            _C("first_day", "DATE", "first day it was found"),
            _C("last_day", "DATE", "last day a member was active"),
            _C("score_day", "DATE", "day of the worst score"),
            _C("score_bits", "DOUBLE", "that score as log-odds", "bits"),
            _C(
                "intrinsic_bits",
                "DOUBLE",
                "peak of its own measurements, without its members' neighbours",
                "bits",
            ),
            _C("intrinsic_day", "DATE", "day of that"),
            _C("peak_verdict", "VARCHAR", "the verdict without the allow-list; NULL: the same"),
        ),
        "state",
        "run",
    ),
    Table(
        "group_members",
        "members of every group; they accumulate",
        (
            _DAY,
            _GROUP,
            _ACCOUNT,
            _C("first_day", "DATE", "first day as a member"),
            _C("last_day", "DATE", "last day active as a member"),
            _C("state", "VARCHAR", "active, silent or banned"),
            _C(
                "origin_id",
                "VARCHAR",
                "group it was formed into before anybody was suspected; NULL: its ring alone holds it",
            ),
            _C(
                "bond",
                "VARCHAR",
                "what joined it: keys shared with others, similarity of what it asks, or neighbours that are suspects",
            ),
            _C("strength_bits", "DOUBLE", "evidence that ties it to the group", "bits"),
            _C(
                "membership_probability",
                "DOUBLE",
                "how sure it is that the account belongs to the group at all",
                "0..1",
            ),
            _C(
                "spoofable", "BOOLEAN", "whether an attacker could have planted all that ties it to the group"
            ),
            _C(
                "similarity",
                "DOUBLE",
                "how alike it asks to those of its nearest strangers in the group",
                ">= 0",
            ),
            _C("linked_bits", "DOUBLE", "its links to fellow members, against chance", "bits"),
            _C(
                "evidence_bits",
                "DOUBLE",
                "what `why` can show of it, in sum; NULL: nothing of it in the window",
                "bits",
            ),
        ),
        "state",
        "run",
    ),
    Table(
        "account_scores",
        "every account seen, its worst day",
        (
            _DAY,
            _ACCOUNT,
            _C("score", "DOUBLE", "calibrated probability that it takes part in abuse of any kind", "0..1"),
            _C("verdict", "VARCHAR", "clear, watch or alert"),
            _C("group_id", "VARCHAR", "its group, if any"),
            _C("kind", "VARCHAR", "kind of abuse the score speaks of"),
            _C(
                "conduct_score",
                "DOUBLE",
                "of the account's own conduct alone, at its peak; one input of the score (how-it-works.md)",
                "0..1",
            ),
            _C("group_score", "DOUBLE", "its share in its group's score", "0..1"),
            _C(
                "relational_score",
                "DOUBLE",
                "of its conduct, its group and its neighbours together, at its peak; NULL: it shares no key",
                "0..1",
            ),
            _C("harvest_bits", "DOUBLE", "how much it acts as one of a harvest, whatever else it is", "bits"),
            _C("score_bits", "DOUBLE", "score as log-odds", "bits"),
            _C("score_day", "DATE", "day of the worst score"),
            _C("first_day", "DATE", "first day seen"),
            _C("last_day", "DATE", "last day seen"),
            _C("n_requests", "BIGINT", "requests, all days"),
            _C("peak_verdict", "VARCHAR", "the verdict without exemptions; NULL: the same"),
        ),
        "state",
        "run",
    ),
    Table(
        "contributions",
        "what each score is made of: contributions that add up to the score of the day",
        (
            _DAY,
            _C("subject_type", "VARCHAR", "account or group"),
            _C("subject_id", "VARCHAR", "the account or group"),
            _C("feature", "VARCHAR", "measurement, or base_rate, or what the formula adds (how-it-works.md)"),
            _C("value", "DOUBLE", "its value that day; NULL: not measured"),
            _C("bits", "DOUBLE", "what it added to the log-odds", "bits"),
            _C("n", "BIGINT", "observations behind it"),
        ),
        "day",
        "run",
    ),
    Table(
        "why",
        "the evidence that ties accounts to groups, one row a piece",
        (
            _DAY,
            _GROUP,
            _ACCOUNT,
            _C("family", "VARCHAR", "billing, network, client, content, rhythm or succession"),
            _C("kind", "VARCHAR", "kind of key"),
            _C("key", "UBIGINT", "the key, hashed"),
            _C("bits", "DOUBLE", "weight of this piece", "bits"),
            _C("n_sharing", "BIGINT", "accounts that hold the key, in the group and out of it"),
            _C("spoofable", "BOOLEAN", "whether an attacker could have planted it"),
            _C("detail", "VARCHAR", "label for people"),
        ),
        "day",
        "run",
    ),
    Table(
        "alerts",
        "alerts in their state at the end of the day",
        (
            _DAY,
            _C("alert_id", "VARCHAR", "the alert; one a subject and source"),
            _C("source", "VARCHAR", "score or rule"),
            _C("subject_type", "VARCHAR", "account or group"),
            _C("subject_id", "VARCHAR", "the account or group"),
            _C("kind", "VARCHAR", "kind of abuse"),
            _C("severity", "VARCHAR", "low, medium, high or critical"),
            _C("score", "DOUBLE", "calibrated probability", "0..1"),
            _C("state", "VARCHAR", "open or closed"),
            _C("change", "VARCHAR", "created, updated, closed, or none, that day"),
            _C("version", "INTEGER", "counts the changes, from 1"),
            _C("opened_day", "DATE", "day it was opened"),
            _C("updated_day", "DATE", "day of the last change"),
            _C("closed_day", "DATE", "day it was closed"),
            _C("last_day", "DATE", "last day something was found"),
            _C("rule_id", "VARCHAR", "rule that found it; NULL: the score"),
            _C("title", "VARCHAR", "one line for people"),
            _C("reasons", "VARCHAR[]", "why, in plain words, strongest first"),
            _C("spoofable", "VARCHAR[]", "which of the evidence could have been planted"),
            _C("innocent", "VARCHAR[]", "honest explanations and how to check them"),
            _C("n_accounts", "BIGINT", "accounts it speaks of"),
            _C("n_requests", "BIGINT", "requests it speaks of"),
            _C("exempted", "VARCHAR[]", "accounts of the group that were exempted when it was last told"),
        ),
        "state",
        "run",
    ),
    Table(
        "alert_versions",
        "every version of an alert that was made for a sink: a version means one content, for ever",
        (
            _C("alert_id", "VARCHAR", "the alert"),
            _C(
                "version",
                "INTEGER",
                "its version as told, from 1; ahead of `alerts` once a run changed what was told",
            ),
            _C("state", "VARCHAR", "open or closed"),
            _C("issued_at", "TIMESTAMP", "when it was made, before the first try", "UTC"),
            _C("content", "VARCHAR", "row of `alerts` that it tells, as JSON"),
            _C("event", "VARCHAR", "the event as sent, as JSON; the activity is set for each sink"),
        ),
        "ledger",
        "deliver",
    ),
    Table(
        "deliveries",
        "what each sink took, or refused for good",
        (
            _C("alert_id", "VARCHAR", "the alert"),
            _C("version", "INTEGER", "its version"),
            _C("sink", "VARCHAR", "where to"),
            _C("delivered_at", "TIMESTAMP", "when the sink took or refused it", "UTC"),
            _C("attempts", "INTEGER", "tries it took"),
            _C("outcome", "VARCHAR", "sent, or refused: not tried again before a new version; NULL: sent"),
            _C("reason", "VARCHAR", "why it was refused"),
        ),
        "ledger",
        "deliver",
    ),
    Table(
        "delivery_failures",
        "tries that ended without an answer, or with one that may pass; they are tried again",
        (
            _C("alert_id", "VARCHAR", "the alert"),
            _C("version", "INTEGER", "its version"),
            _C("sink", "VARCHAR", "where to"),
            _C("failed_at", "TIMESTAMP", "when it was given up", "UTC"),
            _C("reason", "VARCHAR", "what happened"),
            _C("arrived", "BOOLEAN", "whether the sink may have it all the same"),
        ),
        "ledger",
        "deliver",
    ),
    Table(
        "skipped",
        "measurements skipped that day, with the reason",
        (_DAY, _C("plugin", "VARCHAR", "measurement"), _C("reason", "VARCHAR", "what was missing")),
        "day",
        "run",
    ),
    Table(
        "runs",
        "one row a day run; written last",
        (
            _DAY,
            _C("ran_at", "TIMESTAMP", "when", "UTC"),
            _C(
                "input_digest",
                "VARCHAR",
                "what the run read; when it no longer fits, or is NULL, the day is due again",
            ),
            _C("output_digest", "VARCHAR", "what the run wrote; days after it are due again when it changes"),
            _C(
                "stored_digest",
                "VARCHAR",
                "what is stored of the day since an upgrade rewrote it; NULL: what the run wrote",
            ),
            _C("model_digest", "VARCHAR", "classifier it ran with"),
            _C(
                "config_digest",
                "VARCHAR",
                "settings it decided with, allow-list included; when they differ, the newest day is decided again",
            ),
            _C("n_requests", "BIGINT", "requests of the day"),
            _C("n_accounts", "BIGINT", "accounts active that day"),
            _C("n_groups", "BIGINT", "groups known at its end"),
            _C("n_alerts", "BIGINT", "alerts open at its end"),
            _C("threshold", "DOUBLE", "score an alert needed that day", "0..1"),
            _C("seconds", "DOUBLE", "how long it took", "s"),
        ),
        "day",
        "run",
    ),
)


@cache
def tables() -> dict[str, Table]:
    """Every table by name; those of plug-in grains get their columns from the plug-ins found."""
    found = {t.name: t for t in _STATIC}
    found["account_days"] = Table(
        "account_days",
        "measurements of accounts, one row an account and day",
        (_DAY, _ACCOUNT, *plugins.columns("account")),
        "day",
        "run",
    )
    found["group_days"] = Table(
        "group_days",
        "measurements of groups, one row a group and day",
        (_DAY, _GROUP, *plugins.columns("group")),
        "day",
        "run",
    )
    return found
