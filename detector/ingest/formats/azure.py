"""Azure: gateway logs of API Management, its LLM logs, and request logs of Azure OpenAI; as resource logs or table rows.

Resource logs keep their figures in ``properties``, which is an object in one row and its JSON text in the next; rows of
the Log Analytics tables spell the same names with a capital, at the top. API Management writes an LLM log in pieces
(``SequenceNumber``) and apart from the gateway's row of the same ``CorrelationId``: within a block of lines they are put
together to one request. Azure OpenAI masks the last part of an address, so that address is not known, and its durations
may be negative; its ``requestTime`` has changed its meaning, so ``time`` is taken.

Sources: Microsoft Learn, "Reference: Gateway log schema" (API Management) and the Azure Monitor tables
``ApiManagementGatewayLogs`` and ``ApiManagementGatewayLlmLog``; elastic/integrations ``azure_openai``.
"""

from __future__ import annotations

import re
from typing import Any

from detector.ingest import bodies
from detector.ingest.bodies import first_of
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.messages import conversation
from detector.ingest.records import Path, Records, as_list, as_object, something


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
    "model": _either_way("deploymentName", "modelDeploymentName", "modelName"),
    "api_key_id": _either_way("apimSubscriptionId"),
    "org_id": ("resourceId", "_ResourceId", "ResourceId"),
    "source_ip": ("callerIpAddress", "CallerIpAddress", "CallerIPAddress"),
    "user_agent": tuple(
        f"{path}/{name}" for path in _either_way("requestHeaders") for name in ("User-Agent", "user-agent")
    ),
    "operation": (*_either_way("operationId"), "operationName", "OperationName"),
    "input_tokens": _either_way("promptTokens"),
    "output_tokens": _either_way("completionTokens"),
    "latency_ms": ("durationMs", "TotalTime", "DurationMs"),
    "status": (*_either_way("responseCode"), "resultSignature", "ResultSignature"),
    "stream": _either_way("isStreamCompletion"),
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
    ("properties", "properties_s", "category", "Category", "Type", "TenantId", "Tenant", "event", "location", "Location",
     "Level", "Sku", "DeploymentVersion", "isRequestSuccess", "IsRequestSuccess", "resultType", "truncated", "Region",
     "SourceSystem", "_SubscriptionId", "_BilledSize", "_IsBillable", "ApiVersion", "TotalTokens", "RequestId",
     "RequestMessages", "ResponseMessages", "SequenceNumber", "RequestBody", "ResponseBody", "BackendRequestBody",
     "BackendResponseBody", "BackendResponseCode", "BackendTime", "BackendUrl", "BackendMethod", "BackendProtocol",
     "BackendId", "BackendRequestHeaders", "BackendResponseHeaders", "ApiId", "ApiRevision", "Cache", "CacheTime",
     "ClientProtocol", "ClientTime", "ClientTlsVersion", "Errors", "LastErrorElapsed", "LastErrorMessage",
     "LastErrorReason", "LastErrorScope", "LastErrorSection", "LastErrorSource", "Method", "ProductId", "RequestSize",
     "ResponseHeaders", "ResponseSize", "TraceRecords", "Url", "UserId", "RequestHeaders", "operationName", "OperationName",
     "IsTraceAllowed", "IsTraceExpired", "IsTraceRequested", "IsMasterTrace", "resultDescription")
)  # fmt: skip


def _sniff(record: Record) -> bool:
    if record.get("Type") in _TABLES:
        return True
    keys = set(record)
    if record.get("category", record.get("Category")) in _CATEGORIES and keys & {
        "properties",
        "properties_s",
    }:
        return bool(keys & {"correlationId", "CorrelationId", "resourceId", "ResourceId"})
    return "CorrelationId" in keys and bool(
        keys & {"ApimSubscriptionId", "SequenceNumber", "BackendResponseCode"}
    )


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    sent = [as_object(v) for v in records.first_whole(*_either_way("requestBody", "backendRequestBody"))]
    answered = bodies.answered(records.first_whole(*_either_way("responseBody", "backendResponseBody")))
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
    whole = columns | made
    told = _pieces(records)
    whole["other"] = [
        piece is None and not _is_call(model, operation, url)
        for piece, model, operation, url in zip(told, whole["model"], operations, urls, strict=True)
    ]
    if any(piece is not None for piece in told):
        _put_together(whole, records, told)
    return whole


def _deployment(url: Any) -> str | None:
    found = _DEPLOYMENT.search(url) if isinstance(url, str) else None
    return found[1] if found else None


def _is_call(model: Any, operation: Any, url: Any) -> bool:
    """Whether a model was asked: threads, files and other traffic of the same gateway have neither model nor such a name."""
    return model is not None or any(isinstance(v, str) and _INFERENCE.search(v) for v in (operation, url))


def _pieces(records: Records) -> list[int | None]:
    """Which piece of an LLM log a row is; None for rows of other logs."""
    found: list[int | None] = []
    numbers = records.first(*_either_way("sequenceNumber"))
    for number, entry in zip(numbers, records.entries, strict=True):
        is_llm = (
            number is not None
            or entry.get("Type") == "ApiManagementGatewayLlmLog"
            or entry.get("category", entry.get("Category")) == "GatewayLlmLogs"
        )
        digits = str(number).strip()
        found.append((int(digits) if digits.isascii() and digits.isdigit() else 0) if is_llm else None)
    return found


def _put_together(whole: Columns, records: Records, pieces: list[int | None]) -> None:
    """One request of the rows of each call: the gateway's row, else the first piece, completed from the others."""
    calls: dict[str, list[int]] = {}
    for row, number in enumerate(whole["request_id"]):
        if number is not None:
            calls.setdefault(str(number), []).append(row)
    requests = records.first_whole(*_either_way("requestMessages"))
    answers = records.first_whole(*_either_way("responseMessages"))
    for rows in calls.values():
        parts = sorted((row for row in rows if pieces[row] is not None), key=lambda row: (pieces[row], row))
        if not parts:
            continue
        head = next((row for row in rows if pieces[row] is None), parts[0])
        whole["other"][head] = False
        said = conversation(_joined([requests[row] for row in parts]))
        ended = bodies.answered([_joined([answers[row] for row in parts])])
        from_text = {
            "prompt": said.prompt, "system_prompt": said.system, "turn": said.turn, "n_images": said.n_images,
            "carried": said.carried, "finish_reason": ended["finish_reason"][0], "minted": ended["minted"][0],
        }  # fmt: skip
        for name, values in whole.items():
            if name == "other":
                continue
            if values[head] is None or (name.endswith("_tokens") and not values[head]):
                # Pieces that carry text carry zeros for tokens.
                found = (values[row] for row in parts if values[row] not in (None, 0, "0"))
                values[head] = next(found, values[head])
            if values[head] is None:
                values[head] = from_text.get(name)
        for row in parts:
            if row != head:
                whole["other"][row] = True


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
    passed=_PASSED,
)
