"""Amazon Bedrock model-invocation logs: Converse and the bodies of every maker that Bedrock serves.

It is a customer's own log. The account is the calling user, or the calling role without its session name; the
organisation is the AWS account. CloudTrail has the addresses and clients: its events complete the calls of this log and
are no calls themselves. Bedrock counts cached tokens beside ``inputTokenCount``; ``input_tokens`` includes them, as in
every format.

Sources: "Monitor model invocation using CloudWatch Logs and Amazon S3" and "Inference request parameters and response
fields" (Amazon Bedrock user guide), "Converse" (API reference), elastic/integrations
``packages/aws_bedrock/data_stream/invocation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from detector.ingest import bodies, streams
from detector.ingest.casting import total
from detector.ingest.formats import Beside, Columns, Format, Options, Record
from detector.ingest.records import Path, Records, as_object, first_of, something

_IN, _OUT = "input/inputBodyJson", "output/outputBodyJson"
_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("requestId",),
    "ts": ("timestamp",),
    "model": ("modelId",),
    "api_key_id": ("identity/arn",),
    "org_id": ("accountId",),
    "operation": ("operation",),
    "error_class": ("errorCode",),
}  # fmt: skip
_ACCOUNT: tuple[Path, ...] = ("identity/arn", "accountId")
_PASSED = frozenset(
    ("schemaVersion", "region", "inferenceRegion", "input", "output", "identity", "requestMetadata", "performanceConfig",
     "schemaType", "status", "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion",
     "sourceIPAddress", "userAgent", "requestParameters", "responseElements", "additionalEventData", "requestID", "eventID",
     "readOnly", "resources", "eventType", "managementEvent", "recipientAccountId", "eventCategory", "tlsDetails",
     "errorMessage", "sessionCredentialFromConsole", "sharedEventID", "vpcEndpointId", "apiVersion")
)  # fmt: skip
#: HTTP status of the service's error names.
_ERRORS = {
    "AccessDenied": 403, "ExpiredToken": 403, "UnrecognizedClient": 403, "ResourceNotFound": 404, "Throttling": 429,
    "ServiceQuotaExceeded": 429, "TooManyRequests": 429, "Validation": 400, "ModelTimeout": 408, "ModelNotReady": 429,
    "ModelError": 424, "ModelStreamError": 424, "ServiceUnavailable": 503, "InternalServer": 500,
}  # fmt: skip
_SERVICES = frozenset(("bedrock.amazonaws.com", "bedrock-runtime.amazonaws.com"))
_STATUS = re.compile(r"[1-5][0-9][0-9]")
#: An assumed role is one caller, however many sessions it opens.
_ROLE = re.compile(r"(.*:assumed-role/[^/]+)/.*", re.DOTALL)


def _sniff(record: Record) -> bool:
    keys = set(record)
    return (
        record.get("schemaType") == "ModelInvocationLog"
        or {"requestId", "modelId", "timestamp"} <= keys
        or _is_trail(record)
    )


def _is_trail(record: Record) -> bool:
    """Whether a record is an event of CloudTrail, of any service."""
    return {"eventSource", "eventName", "eventTime", "userIdentity"} <= set(record)


def _trail(record: Record) -> tuple[str, Record] | None:
    """The id of a call in CloudTrail, with its address, its client, and its key if that is long-lived.

    Keys that begin with ASIA live for hours and do not tell callers apart.
    """
    number = something(record.get("requestID"))
    if str(record.get("eventSource")) not in _SERVICES or number is None:
        return None
    key = as_object(record.get("userIdentity")).get("accessKeyId")
    fields = {
        "source_ip": record.get("sourceIPAddress"),
        "user_agent": record.get("userAgent"),
        "api_key_id": key if isinstance(key, str) and key.startswith("AKIA") else None,
    }
    return str(number), {
        name: value
        for name, value in fields.items()
        if isinstance(value, str)
        and something(value)
        and not value.endswith(("amazonaws.com", "AWS Internal"))
    }


def _spread(record: Record) -> Iterator[Record]:
    if record.get("schemaType") not in (None, "ModelInvocationLog"):
        raise ValueError("not a model invocation")
    yield record


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    logged = [streams.answer(v) for v in records.at(_OUT)]
    out = Records(records.lines, logged)
    answers = bodies.answer_columns(logged)
    counts = zip(
        (
            records.first("input/inputTokenCount"),
            records.first("input/cacheReadInputTokenCount"),
            records.first("input/cacheWriteInputTokenCount"),
        ),
        bodies.input_counts(logged),
        strict=True,
    )
    whole, cache_reads, cache_writes = (first_of(own, answered) for own, answered in counts)
    return bodies.request_columns(records.objects(_IN)) | answers | {
        "other": [_is_trail(entry) for entry in records.entries],
        "account_id": [_ROLE.sub(r"\1", a) if isinstance(a, str) else a for a in columns["account_id"]],
        "model": [m.rpartition("/")[2] or m if isinstance(m, str) else m for m in columns["model"]],
        "pathway": ["bedrock"] * len(records),
        "input_tokens": [total(n, r, w) for n, r, w in zip(whole, cache_reads, cache_writes, strict=True)],
        "cached_tokens": first_of(cache_reads, answers["cached_tokens"]),
        "output_tokens": first_of(records.first("output/outputTokenCount"), answers["output_tokens"]),
        "latency_ms": out.first(
            "metrics/latencyMs", "metrics/invocationLatency", f"{streams.METRICS}/invocationLatency"
        ),
        "ttft_ms": out.first("metrics/firstByteLatency", f"{streams.METRICS}/firstByteLatency"),
        "status": [
            _status(stated, code)
            for stated, code in zip(records.first("status"), columns["error_class"], strict=True)
        ],
        "error_class": first_of(columns["error_class"], answers["error_class"]),
        "stream": [
            None if name is None else str(name).endswith("Stream") or flag is True
            for name, flag in zip(columns["operation"], records.at(f"{_IN}/stream"), strict=True)
        ],
    }  # fmt: skip


def _status(stated: Any, code: Any) -> Any:
    for value in (stated, code):
        if value is not None and _STATUS.fullmatch(str(value)):
            return value
    if code is None:
        return "success"
    return next((status for name, status in _ERRORS.items() if str(code).startswith(name)), "failure")


FORMAT = Format(
    name="bedrock",
    meaning="Amazon Bedrock model-invocation logs",
    capabilities=frozenset(("prompts", "account", "params", "logprobs", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=("requestMetadata", ""),
    derive=_derive,
    spread=_spread,
    passed=_PASSED,
    beside=Beside(_is_trail, _trail),
)
