"""The words for kinds of evidence and measurements, looked up by the beginning of their names.

A plug-in that nobody here has heard of still gets a true sentence: the longest known beginning wins, then
the evidence family, then the bare name. Sentences say what was measured, never what it is taken to mean,
so they stay true whichever way a classifier leaned on them.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import NamedTuple

from detector.alert.clean import clean
from features import plugins


class Held(NamedTuple):
    """How accounts come to hold a key: "412 of 430 accounts ``verb`` 9 ``many``"."""

    verb: str
    one: str
    many: str


#: Beginning of a tie kind -> words. Kinds are those of tie plug-ins and a site's own ``keys``.
HELD: dict[str, Held] = {
    "payment": Held("paid with", "card or bank account", "cards or bank accounts"),
    "payment_bin": Held("paid with cards of", "issuer number", "issuer numbers"),
    "bin": Held("paid with cards of", "issuer number", "issuer numbers"),
    "card": Held("paid with", "card", "cards"),
    "email": Held("signed up with", "mail domain", "mail domains"),
    "mail": Held("signed up with", "mail domain", "mail domains"),
    "domain": Held("signed up with", "mail domain", "mail domains"),
    "signup": Held("signed up from", "address or network", "addresses or networks"),
    "signup_day": Held("signed up on", "day", "days"),
    "signup_hour": Held("signed up in", "hour", "hours"),
    "signup_prefix_day": Held("signed up in one day from", "network range", "network ranges"),
    "signup_pathway_hour": Held("signed up through one pathway in", "hour", "hours"),
    "bin_day": Held("signed up in one day with cards of", "issuer number", "issuer numbers"),
    "created": Held("signed up in", "short span", "short spans"),
    "inviter": Held("were invited by", "account", "accounts"),
    "ip": Held("sent requests from", "address", "addresses"),
    "ip_prefix": Held("sent requests from", "network range", "network ranges"),
    "address": Held("sent requests from", "address", "addresses"),
    "prefix": Held("sent requests from", "network range", "network ranges"),
    "asn": Held("sent requests from", "network operator", "network operators"),
    "client": Held("used", "client fingerprint", "client fingerprints"),
    "client_prefix": Held("ran the same client from", "network range", "network ranges"),
    "fingerprint": Held("used", "client fingerprint", "client fingerprints"),
    "end_user": Held("served", "end user of their own", "end users of their own"),
    "session": Held("carried on", "conversation", "conversations"),
    "org": Held("belong to", "organisation", "organisations"),
    "request_org": Held("called for", "organisation", "organisations"),
    "api_key": Held("called with", "API key", "API keys"),
    "site_key": Held("shared", "key of this site", "keys of this site"),
    "site_invite": Held("were invited by", "account or code", "accounts or codes"),
    "ja4": Held("used", "TLS client fingerprint", "TLS client fingerprints"),
    "user_agent": Held("used", "user agent", "user agents"),
    "settings": Held("sent", "rare combination of settings", "rare combinations of settings"),
    "tools": Held("offered the model", "set of tools", "sets of tools"),
    "template": Held("sent", "rare prompt template", "rare prompt templates"),
    "exact": Held("sent", "identical prompt", "identical prompts"),
    "opening": Held("opened prompts with", "rare wording", "rare wordings"),
    "ending": Held("ended prompts with", "rare wording", "rare wordings"),
    "line": Held("wrote", "rare line in their prompts", "rare lines in their prompts"),
    "gram": Held("wrote", "rare run of words", "rare runs of words"),
    "band": Held("sent near-identical prompts of", "family", "families"),
    "sketch": Held("sent near-identical prompts of", "family", "families"),
    "system": Held("ran with", "rare system prompt", "rare system prompts"),
    "system_band": Held("ran with near-identical system prompts of", "family", "families"),
    "rhythm": Held("kept", "weekly rhythm", "weekly rhythms"),
    "hour": Held("kept", "weekly rhythm", "weekly rhythms"),
    "pause": Held("fell silent together in", "pause", "pauses"),
    "succession": Held("took over after", "account that stopped", "accounts that stopped"),
    "replacement": Held("took over after", "account that stopped", "accounts that stopped"),
    "takeover": Held("took over after", "account that stopped", "accounts that stopped"),
    "switch": Held("changed model together in", "switch", "switches"),
    "model_switch": Held("changed model together in", "switch", "switches"),
}
_HELD_BY_FAMILY: dict[str, Held] = {
    "billing": Held("shared", "billing key", "billing keys"),
    "network": Held("shared", "network key", "network keys"),
    "client": Held("shared", "client key", "client keys"),
    "content": Held("shared", "trait of their prompts", "traits of their prompts"),
    "rhythm": Held("shared", "trait of their timing", "traits of their timing"),
    "succession": Held("are linked by", "hand-over", "hand-overs"),
}

#: Beginning of a measurement's name -> what it measures (neutral: no direction, no verdict).
MEASURED: dict[str, str] = {
    "timing": "regularity of its request timing",
    "gap": "time between requests",
    "burst": "requests in bursts",
    "concurren": "requests in flight at once",
    "hour": "spread over the hours of the day",
    "active_hours": "hours of the day with requests",
    "rest": "longest daily rest",
    "longest_rest": "longest daily rest",
    "shared_rest": "rest hours the accounts have in common",
    "night": "share of requests by night",
    "n_requests": "requests",
    "n_accounts": "accounts in the group",
    "size": "accounts in the group",
    "volume": "volume of requests",
    "requests": "volume of requests",
    "output": "amount of text taken out",
    "input": "amount of text sent in",
    "reasoning_tokens": "hidden reasoning asked for",
    "tokens": "amount of text",
    "ok": "requests that succeeded",
    "session": "conversations",
    "refus": "requests the model refused",
    "template": "sameness of prompt templates",
    "template_similarity": "similarity of its prompts to those of other accounts",
    "novel": "prompts never seen before",
    "content": "wording shared with other accounts",
    "prompt": "similarity of prompts",
    "elicit": "how much the prompts ask for training material",
    "elicitation": "how much the prompts ask for training material",
    "elicit_cot": "how much the prompts ask for reasoning written out",
    "elicit_pairs": "how much the prompts ask for question and answer records",
    "elicit_grading": "how much the prompts ask for grades by a rubric",
    "elicit_rewrite": "how much the prompts ask for censorship-safe rewriting",
    "elicit_trace": "how much the prompts ask to rebuild hidden reasoning",
    "capabil": "how far requests concentrate on few capabilities",
    "focus": "how far requests concentrate on few capabilities",
    "coverage": "how evenly prompts walk through a list without repeats",
    "repeat": "repeated prompts",
    "single_turn": "conversations of one turn",
    "turn": "length of conversations",
    "prefix": "network ranges in use",
    "origin": "spread of network origins",
    "asn": "network operators in use",
    "hosting": "requests from hosting networks",
    "client": "clients in use",
    "ja4": "client fingerprints in use",
    "churn": "change of addresses and clients",
    "country": "contradiction between places and hours",
    "temperature": "sampling temperature",
    "max_token": "limits set on answers",
    "logprob": "requests for token probabilities",
    "logit": "requests that probe token probabilities",
    "pathway": "doors the requests come through",
    "program": "programmes the accounts are in",
    "density": "how closely the accounts are tied to one another",
    "evidence": "mix of independent evidence",
    "link": "evidence that ties accounts together",
    "strength": "evidence that ties accounts together",
    "even": "evenness of load over the accounts",
    "synchron": "how closely the accounts move together in time",
    "hand": "hand-over of load between accounts",
    "creation": "span over which the accounts were made",
    "replace": "accounts that appear after another is banned",
    "success": "accounts that appear after another stops",
    "pivot": "traffic moved to a new model within a day of its release",
    "extract": "volume taken, set against what a student model needs",
    "model": "models in use",
    "error": "refused or failed requests",
    "new_origin": "traffic from origins never seen for it",
    "prior": "how common such cases are before anything is measured",
    "intercept": "how common such cases are before anything is measured",
    "calibration": "calibration of the scorer",
}


#: Names may begin with a statistic of what is measured: ``n_models``, ``max_concurrency``.
_STATISTIC = re.compile(r"^(?:n|max|min|mean|median|top|worst|best|sum|distinct|log)_")


def held(kind: str, family: str) -> Held:
    """Words for a kind of shared key; an unknown kind falls back to its family, then to its own name."""
    found = _longest(kind, HELD)
    if found is not None:
        return HELD[found]
    name = clean(kind.replace("_", " "), 40)
    if family in _HELD_BY_FAMILY:
        verb, one, many = _HELD_BY_FAMILY[family]
        return Held(verb, f"{one} ({name})", f"{many} ({name})")
    return Held("shared", f"key ({name})", f"keys ({name})")


#: Family of keys -> what two accounts share of it.
_COMPANY = {
    "billing": "card, invitation or API key",
    "network": "address or network",
    "client": "client or conversation",
    "succession": "trace of sign-up or succession",
    "content": "piece of wording",
}
#: Terms of the classifier that are no plug-in's column.
COMPUTED: dict[str, str] = {
    **{
        f"neighbours_{family}_{place}": f"bits by which others on the {rank}most telling {what} it shares are more suspect "
        "than the site's accounts are"
        for family, what in _COMPANY.items()
        for place, rank in ((1, ""), (3, "third "))
    },
    "harvest_bits": "how much its own conduct is one of a harvest, on its worst day",
    "base_rate": "what is expected of a subject of which nothing was measured; every score starts here",
    "small": "measurements that moved the score by next to nothing, together",
    "group_contribution_bits": "how sure its group is abusive and it belongs there",
    "spoofable_limit": "taken off because an outsider could have planted all of this on the account",
    "group_contribution": "what its group adds to that",
    "neighbours": "what its members share keys with speaks for more, or for less, than the group's own measurements",
    "mean_conduct_bits": "how suspicious the members are by their own conduct, on average",
    "suspect_share": "members whose own conduct stands out",
    "mean_strength_bits": "how strongly the members are tied to one another",
    "unspoofable_share": "members tied by evidence that cannot be copied",
    "keyed_share": "members found by keys they share, not by how alike they ask",
    "keyed_similarity": "how alike members tied by shared keys ask, from no more than anybody to word by word",
    "unkeyed_similarity": "how alike the members ask, who were found by just that",
    "mean_linked_bits": "cards, exits, clients and hours the members share with one another, against chance",
    "discount": "taken off because one account's conduct alone proves little: an evaluation or a pipeline looks the same",
    "template_reuse_bits_1": "the most suspicious text it shares with other accounts",
    "template_reuse_bits_3": "the third most suspicious text it shares with other accounts",
    "template_reuse_bits_10": "the tenth most suspicious text it shares with other accounts",
    "template_reuse_kinds": "kinds of suspicious text it shares with other accounts",
    "template_reuse_requests_log2": "requests that carry suspicious shared text, as a power of two",
}


@cache
def _declared() -> dict[str, str]:
    """What each column of the account and group measurements means, without the note on NULL."""
    columns = (*plugins.columns("account"), *plugins.columns("group"))
    return {c.name: c.meaning.partition(";")[0] for c in columns}


def measured(part: str) -> str | None:
    """What a measurement measures, or None when its name is not known."""
    # Scorers may prefix the grain ("group.synchrony"): the last piece names the measurement.
    name = part.rpartition(".")[2].lower()
    told = COMPUTED.get(name) or _declared().get(name)
    if told:
        return told
    found = _longest(name, MEASURED) or _longest(_STATISTIC.sub("", name), MEASURED)
    return None if found is None else MEASURED[found]


def _longest(name: str, table: dict[str, object] | dict[str, Held] | dict[str, str]) -> str | None:
    name = name.lower()
    return max((key for key in table if name.startswith(key)), key=len, default=None)


def amount(name: str, value: float | None) -> str:
    """A measured value in words, by the unit its name ends in; NULL is "not measured"."""
    if value is None or math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "beyond measure"
    if name.endswith("_share"):
        return share(value)
    if name.endswith("_ms"):
        return span(value / 1000)
    if name.endswith("_s"):
        return span(value)
    if name.endswith("_bits"):
        return f"{value:.1f} bits"
    if name.startswith("n_") or (float(value).is_integer() and abs(value) >= 10):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def share(value: float) -> str:
    """A share of a whole (0..1) as a percentage that never rounds up to all or down to none."""
    if 0 < value < 0.01:
        return "under 1 %"
    if 0.99 < value < 1:
        return "over 99 %"
    return f"{100 * value:.0f} %"


def span(seconds: float) -> str:
    """A duration in the largest unit that leaves two digits to read."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("min", 60.0)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if abs(seconds) >= 1 else f"{1000 * seconds:.0f} ms"


def probability(value: float | None) -> str:
    """A probability (0..1) to two digits; certainty is never claimed."""
    if value is None:
        return "unknown"
    if value > 0.99:
        return "over 0.99"
    if value < 0.01:
        return "under 0.01"
    return f"{value:.2f}"


def count(n: int, one: str, many: str) -> str:
    """A number and its noun."""
    return f"{n:,} {one if n == 1 else many}"
