"""What ``ingest`` writes: requests, facts about accounts, templates, and the ledger of log files."""

from __future__ import annotations

from detector.lake.tables.declared import Table
from features import relations, schema
from features.spec import Column

_C = Column

ACCOUNTS = (
    *relations.ACCOUNTS,
    _C("file_id", "VARCHAR", "file it came from"),
    _C("line", "BIGINT", "line in that file"),
)

INGESTED: tuple[Table, ...] = (
    Table(
        "requests", "one row a request: metadata and measurements, no text", schema.REQUESTS, "day", "ingest"
    ),
    Table("accounts", "facts about accounts, each row valid from a time on", ACCOUNTS, "ledger", "ingest"),
    Table(
        "account_events",
        "what happened to accounts: created, banned, ...",
        (*schema.ACCOUNT_EVENTS, _C("file_id", "VARCHAR", "file"), _C("line", "BIGINT", "line in that file")),
        "ledger",
        "ingest",
    ),
    Table(
        "model_releases",
        "when the public could first call a model",
        (*schema.MODEL_RELEASES, _C("file_id", "VARCHAR", "file"), _C("line", "BIGINT", "line in that file")),
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
)
