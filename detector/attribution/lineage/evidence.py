"""Evidence for a lineage: the prompts and the words that suspect and candidate share and decoys do not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from detector.attribution.lineage.lineage import Answers, Lineage

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|\n+|[^\w\s]")
#: Decoys whose wording is compared, spread evenly over the list.
_DECOYS = 12


@dataclass(frozen=True)
class SharedGram:
    """An n-gram, the prompts where both used it, and the share of decoys' answers to those prompts that used it too."""

    gram: str
    n_prompts: int
    decoy_share: float


def grams_of(text: str, cut: int = 4000) -> set[str]:
    """Token 1..3-grams. A line break is shown as ⏎."""
    tokens = ["⏎" if t[0] == "\n" else t for t in _TOKEN.findall(text[:cut])]
    return {" ".join(tokens[i : i + n]) for n in (1, 2, 3) for i in range(len(tokens) - n + 1)}


def shared_grams(
    answers: Answers, suspect: str, candidate: str, decoys: Sequence[str], *, n: int = 10, prompts: int = 80
) -> list[SharedGram]:
    """The strongest grams for the pair: both use them on many prompts, and few decoys do there.

    Score: shared prompts x -ln(share of decoys), where the decoys' share is smoothed by one answer.
    """
    place = {m: i for i, m in enumerate(answers.models)}
    others = [place[d] for d in decoys if d in place and d not in (suspect, candidate)]
    others = others[:: max(1, len(others) // _DECOYS)][:_DECOYS]
    both: Counter[str] = Counter()
    by_decoys: Counter[str] = Counter()
    for row in answers.texts[:prompts]:
        common = grams_of(row[place[suspect]]) & grams_of(row[place[candidate]])
        both.update(common)
        for other in others:
            by_decoys.update(common & grams_of(row[other]))
    scored = []
    for gram, count in both.items():
        share = by_decoys[gram] / max(count * len(others), 1)
        smoothed = (by_decoys[gram] + 1) / (count * len(others) + 2)
        if count >= 2 and others:
            scored.append((count * -math.log(smoothed), SharedGram(gram, count, share)))
    scored.sort(key=lambda pair: (-pair[0], -len(pair[1].gram), pair[1].gram))
    kept: list[SharedGram] = []
    for _, shared in scored:  # a part of a longer gram that is already kept says nothing new
        if not any(shared.gram in longer.gram for longer in kept):
            kept.append(shared)
        if len(kept) == n:
            break
    return kept


def telling_prompts(answers: Answers, lineage: Lineage, n: int = 5) -> list[tuple[str, float]]:
    """The prompts with the largest contrast: (prompt, contrast)."""
    order = sorted(range(len(answers.prompts)), key=lambda i: -lineage.by_prompt[i])[:n]
    return [(answers.prompts[i], float(lineage.by_prompt[i])) for i in order]
