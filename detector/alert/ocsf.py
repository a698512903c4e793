"""Writes an alert as an OCSF 1.8.0 Detection Finding (class 2004), which SIEMs read without a parser.

``finding_info.uid`` is the alert and never changes. ``metadata.uid`` is one version of it, so that a receiver can
recognise an event that comes twice. The same version always gives the same event.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

from detector.alert.clean import clean, show_id
from detector.alert.evidence import weigh

Json = dict[str, Any]

OCSF_VERSION = "1.8.0"
CLASS_UID = 2004
#: Most members named in an event; the lake has all. Events must stay under common limits (64 kB).
MAX_MEMBERS = 20
#: Most kinds of evidence in an event, heaviest first.
MAX_EVIDENCE = 20

_SEVERITY = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical")}
_ACTIVITY = {1: "Create", 2: "Update", 3: "Close"}
_STATUS = {1: (1, "New"), 2: (2, "In Progress"), 3: (4, "Resolved")}
#: OCSF observable type "User Object: uid".
_USER_UID = 31


@cache
def _atlas() -> Json:
    atlas: Json = json.loads(importlib.resources.files("rules").joinpath("atlas.json").read_text("utf-8"))
    return atlas


def attacks(kind: str, n_accounts: int) -> list[Json]:
    """MITRE ATLAS techniques of a kind of abuse, as OCSF ``attacks``; an unknown kind counts as "other"."""
    table = _atlas()
    ids = list(table["kinds"].get(kind, table["kinds"]["other"]))
    if n_accounts > 1:
        ids += [t for t in table["several_accounts"] if t not in ids]
    techniques: list[Json] = []
    for uid in ids:
        parent = uid.rpartition(".")[0] if uid.count(".") == 2 else uid
        attack = {"version": table["version"], "technique": _technique(table, parent)}
        if parent != uid:
            attack["sub_technique"] = _technique(table, uid)
        techniques.append(attack)
    return techniques


def _technique(table: Json, uid: str) -> Json:
    return {"uid": uid, "name": table["techniques"][uid], "src_url": table["url"] + uid}


def activity(alert: Mapping[str, Any]) -> int:
    """OCSF activity of an alert's newest version: 1 create, 2 update, 3 close."""
    # ``change`` is "none" on every later day, and a late delivery must say the same.
    if alert["state"] == "closed":
        return 3
    return 1 if alert["version"] == 1 else 2


def as_activity(event: Mapping[str, Any], done: int) -> Json:
    """The event as activity 1 create, 2 update or 3 close, which depends on what a sink got before."""
    status_id, status = _STATUS[done]
    return {
        **event,
        "activity_id": done,
        "activity_name": _ACTIVITY[done],
        "type_uid": CLASS_UID * 100 + done,
        "type_name": f"Detection Finding: {_ACTIVITY[done]}",
        "status_id": status_id,
        "status": status,
    }


def event_key(alert: Mapping[str, Any]) -> str:
    """Idempotency key of one version of an alert."""
    return f"{alert['alert_id']}:{alert['version']}"


def detection_finding(
    alert: Mapping[str, Any],
    *,
    now_ms: int | None = None,
    product_version: str,
    evidence: Sequence[Mapping[str, Any]],
    members: Sequence[str],
) -> Json:
    """One version of an alert as a Detection Finding.

    ``risk_score`` is probability times severity (low 25 ... critical 100), ``confidence_score`` is the probability;
    both are 0..100. The unrounded score is in ``unmapped``. ``show_id`` spells out unsafe characters of ids.

    Parameters
    ----------
    alert : a row of ``alerts``.
    now_ms : time of the event (ms since 1970); None: the end of the day of the version.
    product_version : version of hydrawatch.
    evidence : rows of ``why`` of the subject.
    members : accounts of the subject; for an account subject it may be empty.
    """
    done = activity(alert)
    severity_id, severity = _SEVERITY[alert["severity"]]
    status_id, status = _STATUS[done]
    n_accounts = int(alert["n_accounts"] or 0)
    subject = str(alert["subject_id"])
    listed = list(members) or ([subject] if alert["subject_type"] == "account" else [])
    event: Json = {
        "activity_id": done,
        "activity_name": _ACTIVITY[done],
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "type_uid": CLASS_UID * 100 + done,
        "type_name": f"Detection Finding: {_ACTIVITY[done]}",
        "time": _end(alert["updated_day"]) if now_ms is None else now_ms,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "is_alert": True,
        "message": clean(alert["title"], 300),
        "metadata": {
            "version": OCSF_VERSION,
            "uid": event_key(alert),
            "product": {"name": "hydrawatch", "vendor_name": "hydrawatch", "version": product_version},
        },
        "finding_info": _finding_info(alert, n_accounts),
        "evidences": _evidences(evidence, listed, max(n_accounts, len(listed))),
        "observables": [
            {
                "name": f"evidences[{i}].user.uid",
                "type_id": _USER_UID,
                "type": "User Object: uid",
                "value": show_id(account),
            }
            for i, account in enumerate(listed[:MAX_MEMBERS])
        ],
        "unmapped": _unmapped(alert, n_accounts),
    }
    if (score := alert["score"]) is not None:
        event["confidence_score"] = round(100 * score)
        event["risk_score"] = round(25 * (severity_id - 1) * score)
    return event


def trial_event(key: str) -> Json:
    """An event shaped like an alert that is none, to test whether a sink takes events."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    title = "hydrawatch test event: no alert, nothing to do"
    return {
        **as_activity({}, 1),
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "time": now,
        "severity_id": 1,
        "severity": "Informational",
        "is_alert": False,
        "message": title,
        "metadata": {
            "version": OCSF_VERSION,
            "uid": key,
            "product": {"name": "hydrawatch", "vendor_name": "hydrawatch"},
        },
        "finding_info": {"uid": key, "title": title, "created_time": now, "modified_time": now},
        "unmapped": {"test": True},
    }


def _finding_info(alert: Mapping[str, Any], n_accounts: int) -> Json:
    # A closed alert was last seen at its last finding, an open one when this version was made.
    last_day = (alert.get("last_day") if alert["state"] == "closed" else None) or alert["updated_day"]
    if alert["source"] == "rule":
        rule = clean(alert.get("rule_id") or alert["title"], 200)
        analytic: Json = {"type_id": 1, "type": "Rule", "uid": rule, "name": rule}
    else:
        name = f"hydrawatch.{alert['subject_type']}_score"
        analytic = {"type_id": 4, "type": "Learning (ML/DL)", "uid": name, "name": name}
    return {
        "uid": alert["alert_id"],
        "title": clean(alert["title"], 300),
        "desc": "\n".join(clean(reason, 500) for reason in alert["reasons"] or []),
        "types": [clean(alert["kind"], 60)],
        "analytic": analytic,
        "attacks": attacks(alert["kind"], n_accounts),
        "created_time": _end(alert["opened_day"]),
        "modified_time": _end(alert["updated_day"]),
        "first_seen_time": _end(alert["opened_day"]),
        "last_seen_time": _end(last_day),
        "data_sources": ["LLM API request log"],
    }


def _evidences(why: Sequence[Mapping[str, Any]], members: Sequence[str], n_accounts: int) -> list[Json]:
    evidences: list[Json] = [{"user": {"uid": show_id(account)}} for account in members[:MAX_MEMBERS]]
    if len(members) > 1:
        # OCSF has no count of evidences, so the count is one more evidence.
        evidences.append({"name": "members", "data": {"n_members": n_accounts, "n_listed": len(evidences)}})
    evidences += [
        {
            "name": clean(f"{e.family}.{e.kind}", 80),
            "data": {
                "family": e.family,
                "kind": e.kind,
                "summary": e.sentence(n_accounts),
                "n_members": e.n_members,
                "n_keys": e.n_keys,
                "n_keys_held_outside": e.n_open_keys,
                "bits": round(e.bits, 3),
                "spoofable": e.spoofable,
                "labels": list(e.labels),
            },
        }
        for e in weigh(why, n_accounts)[:MAX_EVIDENCE]
    ]
    return evidences


def _unmapped(alert: Mapping[str, Any], n_accounts: int) -> Json:
    return {
        "group_id": show_id(alert["subject_id"]) if alert["subject_type"] == "group" else None,
        "subject_type": alert["subject_type"],
        "subject_id": show_id(alert["subject_id"]),
        "kind": clean(alert["kind"], 60),
        "source": alert["source"],
        "rule_id": clean(alert.get("rule_id"), 200) or None,
        "state": alert["state"],
        "version": alert["version"],
        "score": alert["score"],
        "n_accounts": n_accounts,
        "n_requests": alert["n_requests"],
        "reasons": [clean(text, 500) for text in alert["reasons"] or []],
        "spoofable": [clean(text, 500) for text in alert["spoofable"] or []],
        "innocent": [clean(text, 1000) for text in alert["innocent"] or []],
    }


def _end(day: date) -> int:
    """The last millisecond of a UTC day (ms since 1970)."""
    midnight = datetime.combine(day, time(), UTC) + timedelta(days=1)
    return int(midnight.timestamp()) * 1000 - 1
