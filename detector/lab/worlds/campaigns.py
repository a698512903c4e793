"""The campaigns on record, and single-account abuse: what each asks for, how large it was, how it hides.

A campaign's name says what it asks for, so that nothing here accuses anybody. Sizes are the published ones. The rates
for each account and day follow from them.
"""

from __future__ import annotations

from dataclasses import replace

from detector.lab.worlds import solo
from detector.lab.worlds.harvest import Campaign, hydra
from detector.lab.worlds.persona import Habit

_ASK = Habit("", single=0.6, more=1.3, gap_s=45, out=(6.2, 0.9), use="harvest", sessions=0.5, stream=0.45)
_WORK = replace(_ASK, single=0.25, more=5.0, gap_s=30, context=(7.2, 1.6), tools=0.5, out=(5.4, 1.3))
_PROBE = Habit(
    "", rhythm="flat", single=0.3, more=60, gap_s=2.0, gap_sigma=1.2, burst=1.2, use="batch", stream=0.03,
    sessions=0.1, out=(0.3, 0.5), context=(1.0, 0.5),
)  # fmt: skip

_CAMPAIGNS = (
    Campaign(
        "cot_rubric", "reasoning made explicit, rubric grading, censorship-safe rewriting", "distillation",
        200, 150_000, 34, hydra, 1.2, (("cot", 0.5), ("grading", 0.32), ("rewrite", 0.18)),
        ("maths", "science", "law", "history", "safety", "zh"), _ASK, per_day=(22, 22, 6, 2.2),
    ),
    Campaign(
        "agentic_tools", "agentic reasoning, tools, coding, data analysis, vision; later rebuilt traces",
        "distillation", 500, 3_400_000, 45, hydra, 1.0,
        (("agentic", 0.55), ("coding", 0.2), ("trace", 0.12), ("bulk", 0.13)),
        ("agentic", "code", "data", "vision"), replace(_WORK, images=0.12), per_day=(40, 36, 7, 2.6),
        pathways=4,
    ),
    Campaign(
        "agentic_coding", "agentic coding and orchestration; moves to a new model within a day",
        "distillation",
        5_000, 13_000_000, 45, hydra, 1.0, (("coding", 0.6), ("agentic", 0.4)), ("code", "agentic"), _WORK,
        "agent",
        per_day=(45, 40, 7, 2.6), pathways=3, pivot=0.5,
    ),
    Campaign(
        "software_engineering_long", "software engineering and long tasks by light users", "distillation",
        25_000, 28_800_000, 45, hydra, 1.0, (("coding", 0.7), ("agentic", 0.3)), ("code", "cs", "agentic"),
        replace(_WORK, single=0.35, out=(6.0, 1.2)), per_day=(26, 26, 6.5, 2.4), pathways=2,
    ),
    Campaign(
        "trace_coercion", "reasoning traces forced out, in languages other than English", "distillation",
        150, 100_000, 20, hydra, 1.0, (("trace", 1.0),), ("maths", "science", "zh", "ja", "de", "es"), _ASK,
        per_day=(30, 28, 6, 2.2),
    ),
    Campaign(
        "bulk_questions", "plain lists of questions, hardly any scaffold", "distillation",
        400, 600_000, 30, hydra, 1.0, (("bulk", 0.75), ("pairs", 0.25)),
        ("maths", "science", "medicine", "life", "writing", "business", "history", "zh"),
        replace(_ASK, single=0.75), taste="mixed", per_day=(36, 34, 6.5, 2.5),
    ),
    Campaign(
        "translation_pairs", "parallel sentences for a translation model", "distillation",
        300, 400_000, 30, hydra, 0.6, (("translate", 0.85), ("grading", 0.15)), ("sentence", "doc"),
        replace(_ASK, single=0.7, out=(4.8, 0.7)), taste="mixed", per_day=(36, 34, 6.5, 2.5),
    ),
    Campaign(
        "proxy_network", "resale of access with distillation mixed in; banned accounts replaced",
        "distillation",
        20_000, 0, 45, hydra, 1.0, (("cot", 0.4), ("coding", 0.35), ("pairs", 0.25)),
        ("maths", "code", "science", "cs"), _ASK, "server", per_day=(14, 14, 4.5, 2.0),
        ordinary=(0.4, 0.5, 0.6, 0.8),
        carriers=(0.35, 0.35, 0.35, 0.35), pathways=4,
    ),
    Campaign(
        "logit_extraction", "log-probabilities, biases and one-token answers", "logit_extraction",
        2, 200_000, 14, solo.logits, 0.0, (), ("science", "cs", "history", "writing"), _PROBE,
        per_day=(900, 500, 220, 60),
    ),
    Campaign(
        "key_theft", "stolen keys spent elsewhere beside their owners' use", "key_compromise",
        4, 0, 7, solo.theft, 0.0, per_day=(150, 90, 40, 14),
    ),
    Campaign(
        "key_sharing", "one key used by many people", "key_sharing", 2, 0, 14, solo.sharing, 0.0,
        per_day=(120, 80, 40, 20),
    ),
)  # fmt: skip
CAMPAIGNS: dict[str, Campaign] = {c.name: c for c in _CAMPAIGNS}
#: Campaigns of a handful of accounts, whatever the share of attackers.
SINGLE = tuple(c.name for c in _CAMPAIGNS if not c.weight)
