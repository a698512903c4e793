"""Families of evidence: what keys of each are about, what honest cause shares them, and the query that tells.

Kinds of key that have one cause stand in one family and count once. Wrong accusations are the loudest complaint
about enforcement against groups, so each family names the look-alike its keys cannot exclude, and one query for
``hydrawatch query`` that tells the two apart; ``{id}`` stands for the quoted id of the group or account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Honest:
    """An honest cause of some evidence, how to read the answer, and the query to ask."""

    explanation: str
    query: str


@dataclass(frozen=True)
class EvidenceFamily:
    """What is said of a family of evidence.

    Parameters
    ----------
    is_text : whether its keys are pieces of prompts; the others link accounts whatever they ask.
    one, many : noun for kinds of key that no installed tie declares (see ``spec.Kind``), and its plural.
    shared : what two accounts share of it, in a phrase: "on the most telling ``shared`` it shares".
    group, account : the honest cause of such evidence on a group and on one account; None: nothing to add.
    """

    is_text: bool
    one: str
    many: str
    shared: str
    group: Honest
    account: Honest | None


def _outside(columns: str) -> str:
    """Values that members of a group used, with how many accounts outside it used them too."""
    return (
        f"SELECT {columns}, count(DISTINCT m.account_id) AS inside, "
        "count(DISTINCT r.account_id) FILTER (WHERE m.account_id IS NULL) AS outside "
        "FROM requests r LEFT JOIN group_members m ON m.account_id = r.account_id AND m.group_id = {id} "
        "GROUP BY ALL HAVING count(m.account_id) > 0 ORDER BY inside DESC LIMIT 20"
    )


def _others(column: str) -> str:
    """Values that an account used, with how many others used them and how many of those are suspect."""
    return (
        f"SELECT r.{column}, count(DISTINCT o.account_id) AS others, "
        "count(DISTINCT o.account_id) FILTER (WHERE s.verdict <> 'clear') AS suspect "
        f"FROM requests r JOIN requests o USING ({column}) "
        "LEFT JOIN account_scores s ON s.account_id = o.account_id "
        "WHERE r.account_id = {id} AND o.account_id <> {id} GROUP BY ALL ORDER BY suspect DESC LIMIT 20"
    )


#: By name, one of ``spec.Family``.
FAMILIES: Mapping[str, EvidenceFamily] = MappingProxyType(
    {
        "billing": EvidenceFamily(
            is_text=False,
            one="billing key",
            many="billing keys",
            shared="card, invitation or API key",
            group=Honest(
                "A team or company that pays with one card, or a class with one budget. Likely if one verified "
                "organisation or programme holds most accounts",
                "SELECT a.org_id, a.program, a.verified, count(DISTINCT a.account_id) AS inside FROM accounts a "
                "JOIN group_members m USING (account_id) WHERE m.group_id = {id} "
                "GROUP BY ALL ORDER BY inside DESC",
            ),
            account=Honest(
                "A card, issuer or invitation in many honest hands: a family, an agency, a prepaid brand. Likely if "
                "others on it are not suspect",
                "SELECT a.payment_hash = b.payment_hash AS same_card, "
                "a.payment_bin_hash = b.payment_bin_hash AS same_issuer, "
                "count(DISTINCT b.account_id) AS others FROM accounts a JOIN accounts b ON a.payment_bin_hash = "
                "b.payment_bin_hash AND a.account_id <> b.account_id WHERE a.account_id = {id} GROUP BY ALL",
            ),
        ),
        "network": EvidenceFamily(
            is_text=False,
            one="network key",
            many="network keys",
            shared="address or network",
            group=Honest(
                "A campus, company, carrier or VPN exit shared by strangers. Likely if many accounts outside the "
                "group use the same ranges",
                _outside("r.ip_prefix"),
            ),
            account=Honest(
                "A carrier, VPN, campus or company exit that strangers share with the suspects. Likely if many of "
                "the others on the same ranges are not suspect",
                _others("ip_prefix"),
            ),
        ),
        "client": EvidenceFamily(
            is_text=False,
            one="client key",
            many="client keys",
            shared="client or conversation",
            group=Honest(
                "A popular client or coding agent that thousands run with the same settings. Likely if accounts "
                "outside the group use it too",
                _outside("r.user_agent, r.ja4"),
            ),
            account=Honest(
                "A popular client that the suspects happen to run. Likely if most others who run it are not suspect",
                _others("user_agent"),
            ),
        ),
        "content": EvidenceFamily(
            is_text=True,
            one="trait of prompts",
            many="traits of prompts",
            shared="piece of wording",
            group=Honest(
                "A classroom assignment, a public benchmark or a popular agent's prompt. Likely if accounts "
                "outside the group send the same templates",
                _outside("r.template_id"),
            ),
            account=Honest(
                "A template, benchmark or agent's prompt from a public source. Likely if others send it who are not "
                "suspect",
                _others("template_id"),
            ),
        ),
        "rhythm": EvidenceFamily(
            is_text=False,
            one="trait of timing",
            many="traits of timing",
            shared="habit of hours",
            group=Honest(
                "Colleagues or students who keep the same hours. Likely if requests stop at night and at weekends "
                "of one place",
                "SELECT dayofweek(r.ts) AS weekday, hour(r.ts) AS utc_hour, count(*) AS requests FROM requests r "
                "JOIN group_members m USING (account_id) WHERE m.group_id = {id} GROUP BY ALL ORDER BY ALL",
            ),
            account=None,
        ),
        "succession": EvidenceFamily(
            is_text=False,
            one="trace of succession",
            many="traces of succession",
            shared="trace of sign-up or succession",
            group=Honest(
                "A class or hackathon that signed up together, renewed keys, staff changes, or chance in a large "
                "population. Likely if earlier accounts were closed by their owners and not banned",
                "SELECT a.created_at, a.account_id, a.program, e.ts, e.event FROM group_members m "
                "JOIN accounts a USING (account_id) LEFT JOIN account_events e USING (account_id) "
                "WHERE m.group_id = {id} ORDER BY a.created_at, e.ts",
            ),
            account=Honest(
                "A sign-up in a busy hour, class or campaign of the provider's own. Likely if many signed up with it "
                "who are not suspect",
                "SELECT date_trunc('hour', b.created_at) AS hour, count(*) AS sign_ups FROM accounts a "
                "JOIN accounts b ON date_trunc('hour', a.created_at) = date_trunc('hour', b.created_at) "
                "WHERE a.account_id = {id} GROUP BY ALL",
            ),
        ),
    }
)
