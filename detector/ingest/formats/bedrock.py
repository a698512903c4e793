"""Amazon Bedrock model-invocation logs: Converse and the bodies of every maker that Bedrock serves.

A customer's own log: the account is the calling role (its session name left off) or user, the organisation the AWS
account. Addresses and clients are in CloudTrail, whose events complete the calls of this log and are none themselves.
Bedrock counts tokens read from and written to its cache beside ``inputTokenCount``; here they are part of
``input_tokens``, as in every format.

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
    """An event of CloudTrail, whatever service it is of."""
    return {"eventSource", "eventName", "eventTime", "userIdentity"} <= set(record)


def _trail(record: Record) -> tuple[str, Record] | None:
    """What CloudTrail knows of a call: address, client, and the key where it is a long-lived one.

    Keys that begin with ASIA live for hours and tell no caller from another.
    """
    number = something(record.get("requestID"))
    if str(record.get("eventSource")) not in _SERVICES or number is None:
        return None
    key = as_object(record.get("userIdentity")).get("accessKeyId")
    found = {
        "source_ip": record.get("sourceIPAddress"),
        "user_agent": record.get("userAgent"),
        "api_key_id": key if isinstance(key, str) and key.startswith("AKIA") else None,
    }
    return str(number), {
        name: value
        for name, value in found.items()
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
    answers = bodies.answered(logged)
    counts = zip(
        (
            records.first("input/inputTokenCount"),
            records.first("input/cacheReadInputTokenCount"),
            records.first("input/cacheWriteInputTokenCount"),
        ),
        bodies.inputs_apart(logged),
        strict=True,
    )
    whole, read, written = (first_of(own, answered) for own, answered in counts)
    return bodies.asked(records.objects(_IN)) | answers | {
        "other": [_is_trail(entry) for entry in records.entries],
        "account_id": [_ROLE.sub(r"\1", a) if isinstance(a, str) else a for a in columns["account_id"]],
        "model": [m.rpartition("/")[2] or m if isinstance(m, str) else m for m in columns["model"]],
        "pathway": ["bedrock"] * len(records),
        "input_tokens": [total(n, r, w) for n, r, w in zip(whole, read, written, strict=True)],
        "cached_tokens": first_of(read, answers["cached_tokens"]),
        "output_tokens": first_of(records.first("output/outputTokenCount"), answers["output_tokens"]),
        "latency_ms": out.first(
            "metrics/latencyMs", "metrics/invocationLatency", f"{streams.METRICS}/invocationLatency"
        ),
        "ttft_ms": out.first("metrics/firstByteLatency", f"{streams.METRICS}/firstByteLatency"),
        "status": [
            _status(given, code)
            for given, code in zip(records.first("status"), columns["error_class"], strict=True)
        ],
        "error_class": first_of(columns["error_class"], answers["error_class"]),
        "stream": [
            None if name is None else str(name).endswith("Stream") or flag is True
            for name, flag in zip(columns["operation"], records.at(f"{_IN}/stream"), strict=True)
        ],
    }  # fmt: skip


def _status(given: Any, code: Any) -> Any:
    for value in (given, code):
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
