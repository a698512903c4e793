"""What an honest explanation of the same evidence would be, and one query that tells them apart.

Wrong accusations are the loudest complaint about this kind of enforcement. Every alert therefore names
the look-alikes its evidence cannot exclude and what a reviewer should look at before acting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: An id that may stand inside a query shown to people. Anything else is asked for with ``?``: ids are the
#: attacker's to choose, and a query is there to be pasted.
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")

_OUTSIDE = "count(DISTINCT r.account_id) FILTER (WHERE m.account_id IS NULL) AS outside"
_INSIDE = "count(DISTINCT m.account_id) AS inside"
_JOIN = (
    "FROM requests r LEFT JOIN group_members m ON m.account_id = r.account_id AND m.group_id = {id} "
    "GROUP BY ALL HAVING count(m.account_id) > 0 ORDER BY inside DESC LIMIT 20"
)

#: Evidence family or kind of abuse -> (explanation and how to read the answer, query) for a group.
_GROUP: dict[str, tuple[str, str]] = {
    "network": (
        "A campus, company, carrier or VPN exit shared by strangers. Likely if many accounts outside the "
        "group use the same ranges",
        f"SELECT r.ip_prefix, {_INSIDE}, {_OUTSIDE} {_JOIN}",
    ),
    "billing": (
        "A team or company that pays with one card, or a class with one budget. Likely if one verified "
        "organisation or programme holds most accounts",
        "SELECT a.org_id, a.program, a.verified, count(DISTINCT a.account_id) AS inside FROM accounts a "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY inside DESC",
    ),
    "client": (
        "A popular client or coding agent that thousands run with the same settings. Likely if accounts "
        "outside the group use it too",
        f"SELECT r.user_agent, r.ja4, {_INSIDE}, {_OUTSIDE} {_JOIN}",
    ),
    "content": (
        "A classroom assignment, a public benchmark or a popular agent's prompt. Likely if accounts "
        "outside the group send the same templates",
        f"SELECT r.template_id, {_INSIDE}, {_OUTSIDE} {_JOIN}",
    ),
    "rhythm": (
        "Colleagues or students who keep the same hours. Likely if requests stop at night and at weekends "
        "of one place",
        "SELECT dayofweek(r.ts) AS weekday, hour(r.ts) AS utc_hour, count(*) AS requests FROM requests r "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY ALL",
    ),
    "succession": (
        "A class or hackathon that signed up together, renewed keys, staff changes, or chance in a large "
        "population. Likely if earlier accounts were closed by their owners and not banned",
        "SELECT a.created_at, a.account_id, a.program, e.ts, e.event FROM group_members m "
        "JOIN accounts a USING (account_id) LEFT JOIN account_events e USING (account_id) "
        "WHERE m.group_id = {id} ORDER BY a.created_at, e.ts",
    ),
    "distillation": (
        "An evaluation harness, or a customer who makes synthetic data with permission. Look for a "
        "contract, a research or enterprise programme, or an entry of the allow-list",
        "SELECT a.account_id, a.org_id, a.program, a.verified, a.created_at FROM accounts a "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} ORDER BY a.created_at",
    ),
    "resale": (
        "A reseller or aggregator under contract. Look at the programme of the accounts",
        "SELECT a.program, a.org_id, count(DISTINCT a.account_id) AS inside FROM accounts a "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY inside DESC",
    ),
    "logit_extraction": (
        "Calibration research, or a classifier that reads token probabilities. Likely if the accounts also "
        "do ordinary work",
        "SELECT r.top_logprobs, r.n, r.max_tokens, count(*) AS requests FROM requests r "
        "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY requests DESC",
    ),
}
#: How many others are on a key of an account, and how many of them are suspect themselves.
_OTHERS = (
    "count(DISTINCT o.account_id) AS others, "
    "count(DISTINCT o.account_id) FILTER (WHERE s.verdict <> 'clear') AS suspect"
)
_SENT = (
    "FROM requests r JOIN requests o USING ({key}) LEFT JOIN account_scores s ON s.account_id = o.account_id "
    "WHERE r.account_id = {{id}} AND o.account_id <> {{id}} GROUP BY ALL ORDER BY suspect DESC LIMIT 20"
)
#: The same for a single account.
_ACCOUNT: dict[str, tuple[str, str]] = {
    "distillation": (
        "An evaluation harness, a pipeline with one template over many documents, or synthetic data made "
        "with permission. Ask the owner what the commonest template is for",
        "SELECT r.template_id, count(*) AS requests, count(DISTINCT r.prompt_hash) AS prompts "
        "FROM requests r WHERE r.account_id = {id} GROUP BY ALL ORDER BY requests DESC LIMIT 20",
    ),
    "logit_extraction": (
        "Calibration research, or a classifier that reads token probabilities. Likely if the account also "
        "does ordinary work",
        "SELECT r.top_logprobs, r.n, r.max_tokens, count(*) AS requests FROM requests r "
        "WHERE r.account_id = {id} GROUP BY ALL ORDER BY requests DESC",
    ),
    "key_compromise": (
        "A new deployment, a CI fleet, a load test or a journey. Ask the owner of the key whether the newest "
        "origins are theirs",
        "SELECT r.ip_prefix, r.user_agent, min(r.ts) AS first_ts, max(r.ts) AS last_ts, count(*) AS requests "
        "FROM requests r WHERE r.account_id = {id} GROUP BY ALL ORDER BY first_ts DESC LIMIT 20",
    ),
    "key_sharing": (
        "A team, household or CI fleet that may share one account. Compare the origins in use at one time "
        "with what the plan allows",
        "SELECT date_trunc('hour', r.ts) AS hour, count(DISTINCT r.ip_prefix) AS ranges, count(*) AS n "
        "FROM requests r WHERE r.account_id = {id} GROUP BY ALL ORDER BY ranges DESC LIMIT 20",
    ),
    "resale": (
        "An aggregator under contract, or a product that serves its own customers. Look at the programme",
        "SELECT a.program, a.org_id, a.verified, a.created_at FROM accounts a WHERE a.account_id = {id}",
    ),
    "network": (
        "A carrier, VPN, campus or company exit that strangers share with the suspects. Likely if many of the others "
        "on the same ranges are not suspect",
        f"SELECT r.ip_prefix, {_OTHERS} {_SENT.format(key='ip_prefix')}",
    ),
    "client": (
        "A popular client that the suspects happen to run. Likely if most others who run it are not suspect",
        f"SELECT r.user_agent, {_OTHERS} {_SENT.format(key='user_agent')}",
    ),
    "content": (
        "A template, benchmark or agent's prompt from a public source. Likely if others send it who are not suspect",
        f"SELECT r.template_id, {_OTHERS} {_SENT.format(key='template_id')}",
    ),
    "billing": (
        "A card, issuer or invitation in many honest hands: a family, an agency, a prepaid brand. Likely if others "
        "on it are not suspect",
        "SELECT a.payment_hash = b.payment_hash AS same_card, a.payment_bin_hash = b.payment_bin_hash AS same_issuer, "
        "count(DISTINCT b.account_id) AS others FROM accounts a JOIN accounts b ON a.payment_bin_hash = "
        "b.payment_bin_hash AND a.account_id <> b.account_id WHERE a.account_id = {id} GROUP BY ALL",
    ),
    "succession": (
        "A sign-up in a busy hour, class or campaign of the provider's own. Likely if many signed up with it who are "
        "not suspect",
        "SELECT date_trunc('hour', b.created_at) AS hour, count(*) AS sign_ups FROM accounts a JOIN accounts b "
        "ON date_trunc('hour', a.created_at) = date_trunc('hour', b.created_at) WHERE a.account_id = {id} GROUP BY ALL",
    ),
    "other": (
        "A load test, a CI fleet or a new product of the customer's. Look at what changed and when",
        "SELECT r.day, r.model, count(*) AS requests, sum(r.output_tokens) AS output_tokens FROM requests r "
        "WHERE r.account_id = {id} GROUP BY ALL ORDER BY r.day",
    ),
}


def queryable(subject_id: str) -> str:
    """The id as it may stand in a query shown to people: a quoted literal, or ``?`` for any odd id."""
    return f"'{subject_id}'" if _PLAIN_ID.fullmatch(subject_id) else "?"


def explanations(subject_type: str, subject_id: str, kind: str, families: Iterable[str]) -> tuple[str, ...]:
    """Honest explanations of this evidence, each with a query for ``hydrawatch query``; never empty.

    ``families`` are the evidence families present, strongest first; unknown ones have nothing to add.
    """
    table = _GROUP if subject_type == "group" else _ACCOUNT
    topics = [*dict.fromkeys([kind, *families])]
    known = [topic for topic in topics if topic in table]
    if not known:
        known = ["distillation" if subject_type == "group" else "other"]
    literal = queryable(subject_id)
    note = f" (? is the id of the {subject_type})" if literal == "?" else ""
    return tuple(f"{table[t][0]}. Check{note}: {table[t][1].format(id=literal)}" for t in known)
