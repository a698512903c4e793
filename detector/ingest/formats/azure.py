"""Azure: gateway logs of API Management, its LLM logs, and request logs of Azure OpenAI; as resource logs or table rows.

Resource logs keep their figures in ``properties``, which is an object in one row and its JSON text in the next; rows of
the Log Analytics tables spell the same names with a capital, at the top. API Management writes an LLM log in pieces
(``SequenceNumber``) and apart from the gateway's row of the same ``CorrelationId``: within a block of lines they are put
together to one request. Azure OpenAI masks the last part of an address, so that address is not known, and its durations
may be negative; its ``requestTime`` has changed its meaning, so ``time`` is taken.

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

#: Where the pieces of an LLM log stand, put together, in the entry of their call.
_LLM = "llm log"


def _either_way(*names: str) -> tuple[Path, ...]:
    """A property by its name in resource logs, with a capital (some exports), and as a column of a table."""
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
    sent = [as_object(v) for v in records.first_held(*_either_way("requestBody", "backendRequestBody"))]
    answered = bodies.answered(records.first_held(*_either_way("responseBody", "backendResponseBody")))
    asked = bodies.asked(sent)
    urls = records.first(*_either_way("url", "backendUrl"))
    streams = records.first(*_either_way("streamType"))
    operations = [
        None if isinstance(o, str) and o.startswith("Microsoft.ApiManagement/") else o
        for o in columns["operation"]
    ]
    made: Columns = asked | answered | {
        "model": first_of(
            [something(body.get("model")) for body in sent], [_deployment(url) for url in urls], columns["model"]
        ),
        "operation": operations,
        "pathway": ["azure"] * len(records),
        "source_ip": [None if isinstance(v, str) and "*" in v else v for v in columns["source_ip"]],
        "input_tokens": first_of(columns["input_tokens"], answered["input_tokens"]),
        "output_tokens": first_of(columns["output_tokens"], answered["output_tokens"]),
        "status": first_of(
            columns["status"],
            [None if v is None else "success" if str(v).lower() == "true" else "failure"
             for v in records.first("isRequestSuccess", "IsRequestSuccess")],
        ),
        "stream": first_of(
            columns["stream"], [None if v is None else v == "Streaming" for v in streams], asked["stream"]
        ),
    }  # fmt: skip
    if any(_LLM in entry for entry in records.entries):
        _add_text(made, records)
    made["other"] = [
        _LLM not in entry and not _is_call(model, operation, url)
        for entry, model, operation, url in zip(records.entries, made["model"], operations, urls, strict=True)
    ]
    return made


def _add_text(made: Columns, records: Records) -> None:
    """Prompts and endings of LLM logs, where the gateway's row has no bodies."""
    talks = [conversation(v, stored=True) for v in records.at(f"{_LLM}/requestMessages")]
    ended = bodies.answered(records.at(f"{_LLM}/responseMessages"))
    text = columns_of(talks) | {
        "finish_reason": ended["finish_reason"],
        "minted": ended["minted"],
    }
    for name, values in text.items():
        made[name] = first_of(made[name], values)


def _deployment(url: Any) -> str | None:
    found = _DEPLOYMENT.search(url) if isinstance(url, str) else None
    return found[1] if found else None


def _is_call(model: Any, operation: Any, url: Any) -> bool:
    """Whether a model was asked: threads, files and other traffic of the same gateway have neither model nor such a name."""
    return model is not None or any(isinstance(v, str) and _INFERENCE.search(v) for v in (operation, url))


def _join(entries: list[Record]) -> list[bool]:
    """The pieces of an LLM log go to their gateway's row, else to the first of them; the others are not read on."""
    pieces: dict[str, list[tuple[int, int]]] = {}
    gateways: dict[str, int] = {}
    for at, entry in enumerate(entries):
        held = _properties(entry)
        number = entry.get("correlationId", entry.get("CorrelationId")) or _property(
            entry, held, "correlationId"
        )
        if not isinstance(number, str):
            continue
        piece = _piece(entry, held)
        if piece is None:
            gateways.setdefault(number, at)
        else:
            pieces.setdefault(number, []).append((piece, at))
    read = [True] * len(entries)
    for number, found in pieces.items():
        rows = [at for _, at in sorted(found)]
        head = gateways.get(number, rows[0])
        entries[head] = {**entries[head], _LLM: _whole([entries[at] for at in rows])}
        for at in rows:
            read[at] = at == head
    return read


def _properties(entry: Record) -> Record:
    return as_object(entry.get("properties") or entry.get("properties_s"))


def _property(entry: Record, properties: Record, name: str) -> Any:
    capital = name[0].upper() + name[1:]
    return properties.get(name, properties.get(capital, entry.get(capital)))


def _piece(entry: Record, properties: Record) -> int | None:
    """Which piece of an LLM log an entry is; None for entries of other logs."""
    number = _property(entry, properties, "sequenceNumber")
    if number is None and (
        entry.get("Type") != "ApiManagementGatewayLlmLog"
        and entry.get("category", entry.get("Category")) != "GatewayLlmLogs"
    ):
        return None
    digits = str(number).strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _whole(pieces: list[Record]) -> dict[str, Any]:
    """An LLM log put together. Pieces that carry text carry zeros for tokens."""
    rows = [(piece, _properties(piece)) for piece in pieces]
    made: dict[str, Any] = {
        name: _joined([_property(*row, name) for row in rows])
        for name in ("requestMessages", "responseMessages")
    }
    for name in ("promptTokens", "completionTokens", "deploymentName", "modelName", "isStreamCompletion"):
        values = [v for row in rows if something(v := _property(*row, name)) is not None]
        made[name] = next((v for v in values if v not in (0, "0")), next(iter(values), None))
    return made


def _joined(pieces: list[Any]) -> Any:
    """Messages whose text was cut into pieces, or that came as several lists."""
    found = [piece for piece in pieces if piece is not None and piece != ""]
    lists = [as_list(piece) for piece in found]
    if found and all(listed is not None for listed in lists):
        return [message for listed in lists for message in listed or ()]
    return "".join(piece for piece in found if isinstance(piece, str)) or next(iter(found), None)


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
