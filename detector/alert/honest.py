"""What an honest explanation of the same evidence would be, and one query that tells them apart.

Wrong accusations are the loudest complaint about this kind of enforcement. Every alert therefore names
the look-alikes its evidence cannot exclude and what a reviewer should look at before acting. Those of a family of
evidence stand in ``features.families``, those of a kind of abuse here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from features.families import FAMILIES, Honest

#: An id that may stand inside a query shown to people. Anything else is asked for with ``?``: ids are the
#: attacker's to choose, and a query is there to be pasted.
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")

#: Kind of abuse -> what else it could be, for a group.
_GROUP: dict[str, Honest] = {
    "distillation": Honest(
        "An evaluation harness, or a customer who makes synthetic data with permission. Look for a "
        "contract, a research or enterprise programme, or an entry of the allow-list",
        "SELECT a.account_id, a.org_id, a.program, a.verified, a.created_at FROM accounts a "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} ORDER BY a.created_at",
    ),
    "resale": Honest(
        "A reseller or aggregator under contract. Look at the programme of the accounts",
        "SELECT a.program, a.org_id, count(DISTINCT a.account_id) AS inside FROM accounts a "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY inside DESC",
    ),
    "logit_extraction": Honest(
        "Calibration research, or a classifier that reads token probabilities. Likely if the accounts also "
        "do ordinary work",
        "SELECT r.top_logprobs, r.n, r.max_tokens, count(*) AS requests FROM requests r "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY requests DESC",
    ),
}
#: The same for a single account.
_ACCOUNT: dict[str, Honest] = {
    "distillation": Honest(
        "An evaluation harness, a pipeline with one template over many documents, or synthetic data made "
        "with permission. Ask the owner what the commonest template is for",
        "SELECT r.template_id, count(*) AS requests, count(DISTINCT r.prompt_hash) AS prompts "
        "FROM requests r WHERE r.account_id = {id} GROUP BY ALL ORDER BY requests DESC LIMIT 20",
    ),
    "logit_extraction": Honest(
        "Calibration research, or a classifier that reads token probabilities. Likely if the account also "
        "does ordinary work",
        "SELECT r.top_logprobs, r.n, r.max_tokens, count(*) AS requests FROM requests r "
        "WHERE r.account_id = {id} GROUP BY ALL ORDER BY requests DESC",
    ),
    "key_compromise": Honest(
        "A new deployment, a CI fleet, a load test or a journey. Ask the owner of the key whether the newest "
        "origins are theirs",
        "SELECT r.ip_prefix, r.user_agent, min(r.ts) AS first_ts, max(r.ts) AS last_ts, count(*) AS requests "
        "FROM requests r WHERE r.account_id = {id} GROUP BY ALL ORDER BY first_ts DESC LIMIT 20",
    ),
    "key_sharing": Honest(
        "A team, household or CI fleet that may share one account. Compare the origins in use at one time "
        "with what the plan allows",
        "SELECT date_trunc('hour', r.ts) AS hour, count(DISTINCT r.ip_prefix) AS ranges, count(*) AS n "
        "FROM requests r WHERE r.account_id = {id} GROUP BY ALL ORDER BY ranges DESC LIMIT 20",
    ),
    "resale": Honest(
        "An aggregator under contract, or a product that serves its own customers. Look at the programme",
        "SELECT a.program, a.org_id, a.verified, a.created_at FROM accounts a WHERE a.account_id = {id}",
    ),
    "other": Honest(
        "A load test, a CI fleet or a new product of the customer's. Look at what changed and when",
        "SELECT r.day, r.model, count(*) AS requests, sum(r.output_tokens) AS output_tokens FROM requests r "
        "WHERE r.account_id = {id} GROUP BY ALL ORDER BY r.day",
    ),
}


def queryable(subject_id: str) -> str:
    """The id as it may stand in a query shown to people: a quoted literal, or ``?`` for any odd id."""
    return f"'{subject_id}'" if _PLAIN_ID.fullmatch(subject_id) else "?"


def causes(subject_type: str) -> dict[str, Honest]:
    """Honest causes by topic - kind of abuse or family of evidence - for a ``group`` or an ``account``."""
    if subject_type == "group":
        return _GROUP | {name: family.group for name, family in FAMILIES.items()}
    return _ACCOUNT | {name: family.account for name, family in FAMILIES.items() if family.account}


def explanations(subject_type: str, subject_id: str, kind: str, families: Iterable[str]) -> tuple[str, ...]:
    """Honest explanations of this evidence, each with a query for ``hydrawatch query``; never empty.

    ``families`` are the evidence families present, strongest first; unknown ones have nothing to add.
    """
    by_topic = causes(subject_type)
    topics = [topic for topic in dict.fromkeys([kind, *families]) if topic in by_topic]
    if not topics:
        topics = ["distillation" if subject_type == "group" else "other"]
    literal = queryable(subject_id)
    note = f" (? is the id of the {subject_type})" if literal == "?" else ""
    return tuple(
        f"{by_topic[t].explanation}. Check{note}: {by_topic[t].query.format(id=literal)}" for t in topics
    )
