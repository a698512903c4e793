"""Azure: gateway logs of API Management, its LLM logs, and request logs of Azure OpenAI; as resource logs or table rows.

Resource logs keep their figures in ``properties``, an object or its JSON text. Rows of the Log Analytics tables have the
same names at the top, with a capital. API Management writes an LLM log in pieces (``SequenceNumber``), apart from the
gateway's row of the same ``CorrelationId``; within a block of lines they become one request. Azure OpenAI masks the last
part of an address, so the address is NULL. Its durations may be negative. Its ``requestTime`` has changed its meaning,
so ``time`` is used.

Sources: Microsoft Learn, "Reference: Gateway log schema" (API Management) and the Azure Monitor tables
``ApiManagementGatewayLogs`` and ``ApiManagementGatewayLlmLog``; MicrosoftDocs/azure-docs
``articles/api-management/gateway-log-schema-reference.md`` (``userId``); elastic/integrations ``azure_openai``.
"""

from __future__ import annotations

import re
from typing import Any

from detector.ingest import bodies
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.messages import columns_of, conversation
from detector.ingest.records import Path, Records, as_list, as_object, first_of, something

#: Key under which the entry of a call gets its LLM log, put together from its pieces.
_LLM = "llm log"


def _either_way(*names: str) -> tuple[Path, ...]:
    """Paths of a property in resource logs, in exports with a capital, and as a column of a table."""
    return tuple(
        path
        for name in names
        for path in (f"properties/{name}", f"properties/{name[0].upper()}{name[1:]}", name[0].upper() + name[1:],
                     f"properties_s/{name}")
    )  # fmt: skip


_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("correlationId", *_either_way("correlationId")),
    "ts": ("time", "TimeGenerated"),
    "model": (
        f"{_LLM}/deploymentName", f"{_LLM}/modelName",
        *_either_way("deploymentName", "modelDeploymentName", "modelName"),
    ),
    "api_key_id": _either_way("apimSubscriptionId"),
    "org_id": ("resourceId", "_ResourceId", "ResourceId"),
    "source_ip": ("callerIpAddress", "CallerIpAddress", "CallerIPAddress"),
    "user_agent": tuple(
        f"{path}/{name}" for path in _either_way("requestHeaders") for name in ("User-Agent", "user-agent")
    ),
    "operation": (*_either_way("operationId"), "operationName", "OperationName"),
    "input_tokens": (f"{_LLM}/promptTokens", *_either_way("promptTokens")),
    "output_tokens": (f"{_LLM}/completionTokens", *_either_way("completionTokens")),
    "latency_ms": ("durationMs", "TotalTime", "DurationMs"),
    "status": (*_either_way("responseCode"), "resultSignature", "ResultSignature"),
    "stream": (f"{_LLM}/isStreamCompletion", *_either_way("isStreamCompletion")),
}  # fmt: skip
_ACCOUNT: tuple[Path, ...] = (
    *_either_way("userId", "apimSubscriptionId", "objectId", "callerObjectId"), "resourceId", "_ResourceId", "ResourceId",
)  # fmt: skip
_CATEGORIES = frozenset(("GatewayLogs", "GatewayLlmLogs", "RequestResponse"))
_TABLES = frozenset(("ApiManagementGatewayLogs", "ApiManagementGatewayLlmLog"))
_DEPLOYMENT = re.compile(r"/deployments/([^/?]+)/")
_INFERENCE = re.compile(
    r"completion|embedding|responses|messages|images?[_/]?generat|image_|audio|speech|transcri|rerank|generatecontent",
    re.IGNORECASE,
)
_PASSED = frozenset(
    (_LLM, "properties", "properties_s", "category", "Category", "Type", "TenantId", "Tenant", "event", "location",
     "Location", "Level", "Sku", "DeploymentVersion", "isRequestSuccess", "IsRequestSuccess", "resultType", "truncated",
     "Region", "SourceSystem", "_SubscriptionId", "_BilledSize", "_IsBillable", "ApiVersion", "TotalTokens", "RequestId",
     "RequestMessages", "ResponseMessages", "SequenceNumber", "RequestBody", "ResponseBody", "BackendRequestBody",
     "BackendResponseBody", "BackendResponseCode", "BackendTime", "BackendUrl", "BackendMethod", "BackendProtocol",
     "BackendId", "BackendRequestHeaders", "BackendResponseHeaders", "ApiId", "ApiRevision", "Cache", "CacheTime",
     "ClientProtocol", "ClientTime", "ClientTlsVersion", "Errors", "LastErrorElapsed", "LastErrorMessage",
     "LastErrorReason", "LastErrorScope", "LastErrorSection", "LastErrorSource", "Method", "ProductId", "RequestSize",
     "ResponseHeaders", "ResponseSize", "TraceRecords", "Url", "UserId", "RequestHeaders", "operationName", "OperationName",
     "IsTraceAllowed", "IsTraceExpired", "IsTraceRequested", "IsMasterTrace", "resultDescription")
)  # fmt: skip


def _sniff(record: Record) -> bool:
    table, category = record.get("Type"), record.get("category", record.get("Category"))
    if isinstance(table, str) and table in _TABLES:
        return True
    keys = set(record)
    if isinstance(category, str) and category in _CATEGORIES and keys & {"properties", "properties_s"}:
        return bool(keys & {"correlationId", "CorrelationId", "resourceId", "ResourceId"})
    return "CorrelationId" in keys and bool(
        keys & {"ApimSubscriptionId", "SequenceNumber", "BackendResponseCode"}
    )


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    request_bodies = [
        as_object(v) for v in records.first_any(*_either_way("requestBody", "backendRequestBody"))
    ]
    answers = bodies.answer_columns(records.first_any(*_either_way("responseBody", "backendResponseBody")))
    requests = bodies.request_columns(request_bodies)
    urls = records.first(*_either_way("url", "backendUrl"))
    streams = records.first(*_either_way("streamType"))
    operations = [
        None if isinstance(o, str) and o.startswith("Microsoft.ApiManagement/") else o
        for o in columns["operation"]
    ]
    derived: Columns = requests | answers | {
        "model": first_of(
            [something(body.get("model")) for body in request_bodies], [_deployment(url) for url in urls], columns["model"]
        ),
        "operation": operations,
        "pathway": ["azure"] * len(records),
        "source_ip": [None if isinstance(v, str) and "*" in v else v for v in columns["source_ip"]],
        "input_tokens": first_of(columns["input_tokens"], answers["input_tokens"]),
        "output_tokens": first_of(columns["output_tokens"], answers["output_tokens"]),
        "status": first_of(
            columns["status"],
            [None if v is None else "success" if str(v).lower() == "true" else "failure"
             for v in records.first("isRequestSuccess", "IsRequestSuccess")],
        ),
        "stream": first_of(
            columns["stream"], [None if v is None else v == "Streaming" for v in streams], requests["stream"]
        ),
    }  # fmt: skip
    if any(_LLM in entry for entry in records.entries):
        _add_text(derived, records)
    derived["other"] = [
        _LLM not in entry and not _is_call(model, operation, url)
        for entry, model, operation, url in zip(
            records.entries, derived["model"], operations, urls, strict=True
        )
    ]
    return derived


def _add_text(derived: Columns, records: Records) -> None:
    """Add prompts and endings of LLM logs to calls whose gateway row has no bodies."""
    conversations = [conversation(v, stored=True) for v in records.at(f"{_LLM}/requestMessages")]
    answers = bodies.answer_columns(records.at(f"{_LLM}/responseMessages"))
    text = columns_of(conversations) | {
        "finish_reason": answers["finish_reason"],
        "minted": answers["minted"],
    }
    for name, values in text.items():
        derived[name] = first_of(derived[name], values)


def _deployment(url: Any) -> str | None:
    match = _DEPLOYMENT.search(url) if isinstance(url, str) else None
    return match[1] if match else None


def _is_call(model: Any, operation: Any, url: Any) -> bool:
    """Whether a model was called. Threads, files and other traffic of the gateway have no model and no such name."""
    return model is not None or any(isinstance(v, str) and _INFERENCE.search(v) for v in (operation, url))


def _join(entries: list[Record]) -> list[bool]:
    """Put the pieces of an LLM log into their gateway's row, or into the first piece. The other pieces are no calls."""
    pieces: dict[str, list[tuple[int, int]]] = {}
    gateways: dict[str, int] = {}
    for at, entry in enumerate(entries):
        properties = _properties(entry)
        number = entry.get("correlationId", entry.get("CorrelationId")) or _property(
            entry, properties, "correlationId"
        )
        if not isinstance(number, str):
            continue
        piece = _piece(entry, properties)
        if piece is None:
            gateways.setdefault(number, at)
        else:
            pieces.setdefault(number, []).append((piece, at))
    is_call = [True] * len(entries)
    for number, numbered in pieces.items():
        rows = [at for _, at in sorted(numbered)]
        head = gateways.get(number, rows[0])
        entries[head] = {**entries[head], _LLM: _whole([entries[at] for at in rows])}
        for at in rows:
            is_call[at] = at == head
    return is_call


def _properties(entry: Record) -> Record:
    return as_object(entry.get("properties") or entry.get("properties_s"))


def _property(entry: Record, properties: Record, name: str) -> Any:
    capital = name[0].upper() + name[1:]
    return properties.get(name, properties.get(capital, entry.get(capital)))


def _piece(entry: Record, properties: Record) -> int | None:
    """The number of a piece of an LLM log; None for entries of other logs."""
    number = _property(entry, properties, "sequenceNumber")
    if number is None and (
        entry.get("Type") != "ApiManagementGatewayLlmLog"
        and entry.get("category", entry.get("Category")) != "GatewayLlmLogs"
    ):
        return None
    digits = str(number).strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _whole(pieces: list[Record]) -> dict[str, Any]:
    """An LLM log put together from its pieces. Pieces with text have zeros for tokens."""
    rows = [(piece, _properties(piece)) for piece in pieces]
    log: dict[str, Any] = {
        name: _joined([_property(*row, name) for row in rows])
        for name in ("requestMessages", "responseMessages")
    }
    for name in ("promptTokens", "completionTokens", "deploymentName", "modelName", "isStreamCompletion"):
        values = [v for row in rows if something(v := _property(*row, name)) is not None]
        log[name] = next((v for v in values if v not in (0, "0")), next(iter(values), None))
    return log


def _joined(pieces: list[Any]) -> Any:
    """Messages from several lists, or from one text that was cut into pieces."""
    filled = [piece for piece in pieces if piece is not None and piece != ""]
    lists = [as_list(piece) for piece in filled]
    if filled and all(listed is not None for listed in lists):
        return [message for listed in lists for message in listed or ()]
    return "".join(piece for piece in filled if isinstance(piece, str)) or next(iter(filled), None)


FORMAT = Format(
    name="azure",
    meaning="Azure API Management gateway and LLM logs, Azure OpenAI request logs",
    capabilities=frozenset(("prompts", "ip", "account", "params", "logprobs", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=("", "properties"),
    derive=_derive,
    join=_join,
    passed=_PASSED,
)
