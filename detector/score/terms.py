"""Which measurements the classifier may use, and which way each may point.

``up``: more is more suspicious, or says nothing; ``down``: the reverse; empty: free. Directions are held in
the fit. What says how a particular campaign happened to behave - long answers, the largest model, single
turns, one capability class - is left out: on made worlds it lifts every figure, on a campaign nobody has
seen it misleads. Countries, names and identity are never terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACCOUNT_TERMS: Mapping[str, str] = MappingProxyType(
    {
        # What it asks for.
        "elicitation_sum": "up",
        "elicited_share": "up",
        "elicitation_top_score": "up",
        "elicit_cot_share": "up",
        "elicit_pairs_share": "up",
        "elicit_grading_share": "up",
        "elicit_rewrite_share": "up",
        "elicit_trace_share": "up",
        # Text it shares with accounts it should not know, weighed by what that text looks like (scaffolds).
        "template_reuse_bits_1": "up",
        "template_reuse_bits_3": "up",
        "template_reuse_bits_10": "up",
        "template_reuse_kinds": "up",
        "template_reuse_requests_log2": "up",
        "similar_prompts_sum": "up",
        "template_similarity_score": "up",
        "shared_exact_share": "down",
        # The distribution itself is asked for.
        "logit_probe_share": "up",
        "logit_probe_n": "up",
        "logit_bias_share": "up",
        "n_gt1_share": "up",
        # One key in many hands, or in new ones.
        "prefixes_at_once_max": "up",
        "n_prefixes": "up",
        "n_asns": "up",
        "new_prefix_share": "up",
        "hosting_share": "up",
        "ip_churn": "up",
        # A clock, not a person.
        "timing_score": "up",
        "max_concurrency": "up",
        "is_partner": "down",
    }
)

#: What one account does alone that is abuse in itself: reading out the distribution, one key in many hands. Programs
#: that read probabilities of a fixed question have one template; a read-out, and many hands, have ever different ones.
SINGLE_ACCOUNT_TERMS: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: ACCOUNT_TERMS[name]
            for name in (
                "logit_probe_share", "logit_probe_n", "logit_bias_share", "n_gt1_share", "prefixes_at_once_max",
                "n_prefixes", "n_asns", "new_prefix_share", "hosting_share", "ip_churn", "timing_score",
                "max_concurrency", "is_partner",
            )
        },
        "template_entropy_bits": "up",
        "template_concentration": "down",
    }
)  # fmt: skip

GROUP_TERMS: Mapping[str, str] = MappingProxyType(
    {
        # What its members' own conduct says.
        "mean_conduct_bits": "up",
        "suspect_share": "up",
        "group_elicited_lift_bits": "up",
        "eliciting_members_share": "up",
        "group_elicitation_p90": "up",
        # Bonds: how many independent families hold it together.
        "families_per_member": "up",
        "n_binding_families": "up",
        "mean_strength_bits": "up",
        "unspoofable_share": "up",
        "keyed_share": "up",
        "keyed_similarity": "up",
        "unkeyed_similarity": "up",
        "mean_linked_bits": "up",
        # Load dealt out evenly, conversations that wander between accounts.
        "load_gini": "down",
        "load_fano": "down",
        "token_gini": "down",
        "top_member_share": "down",
        "alternation_ratio": "up",
        "moved_session_share": "up",
        "moved_end_user_share": "up",
        # Made in bulk, replaced when banned.
        "creation_spread_days": "down",
        "creation_top_day_share": "up",
        "new_member_share": "up",
        "woken_share": "up",
        "banned_share": "up",
        "successor_share": "up",
        "replaced_share": "up",
        # Exits.
        "prefixes_per_member": "up",
        "top_prefix_share": "down",
        "group_hosting_share": "up",
        # An organisation has one name, one domain, a contract.
        "orgs_per_member": "up",
        "top_org_share": "down",
        "top_domain_share": "down",
        "contract_share": "down",
        "cards_per_member": "",
        "pathway_entropy_bits": "up",
        # Volume against what a student needs.
        "extraction_log10": "up",
        "useful_share": "up",
        # Harvest lists do not repeat; classes and benchmarks do.
        "cross_member_repeat_share": "down",
        "public_prompt_share": "down",
        "known_prompt_share": "down",
        "member_repeat_share": "down",
        # Text of its own under many prompts.
        "own_text_share": "up",
        "own_text_distinct_share": "up",
        "own_text_members_share": "up",
        "own_system_share": "up",
        # One clock, one hand.
        "hour_coactivity_lift_bits": "up",
        "fine_coactivity_lift_bits": "up",
        "union_rest_excess_bits": "up",
        "model_agreement": "up",
        "sampling_agreement": "up",
        "pivot_lift_bits": "up",
        "group_capability_divergence_bits": "up",
        # Strangers' traffic inside single accounts.
        "mixed_member_share": "up",
    }
)

#: What tells the members of an abusive group from strangers who were swept in with them.
MEMBER_TERMS: Mapping[str, str] = MappingProxyType(
    {
        "membership_bits": "up",
        "strength_bits": "up",
        "unspoofable": "up",
        "keyed": "",
        "similarity": "up",
        "similarity_ratio": "up",
        "linked_bits": "up",
        "member_conduct_bits": "up",
        "member_conduct_excess_bits": "up",
    }
)
