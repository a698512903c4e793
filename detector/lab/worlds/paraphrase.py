"""How operators reword a scaffold so that no two requests have the same wording: synonyms, order, fillers.

From evasion level 2 on, each request has a wording of its own. Only the shape is left: what is asked for, in which
parts, around which kind of question.
"""

from __future__ import annotations

import re

import numpy as np

from detector.lab.worlds.grammar import Grammar, Texts
from detector.lab.worlds.persona import Rng

#: Share of words with synonyms that are swapped, and of requests with an opening, an ending or moved sentences.
SWAPPED, OPENED, CLOSED, MOVED = 0.5, 0.35, 0.35, 0.4
_WORD = re.compile(r"[A-Za-z]+|[\u4e00-\u9fff]{2}")
_SENTENCE = re.compile(r"(?<=[.!?。]) +")


class Paraphraser:
    """Rewords templates, but keeps the slots {Q} and {A}."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._groups: dict[str, tuple[str, ...]] = {}
        for line in grammar.lines("synonyms"):
            words = tuple(line.split("/"))
            for word in words:
                self._groups.setdefault(word, words)

    def reword(self, rng: Rng, templates: Texts) -> Texts:
        """A new wording of each template."""
        n = len(templates)
        out = np.empty(n, dtype=object)
        opening = self._grammar.make(rng, "filler.open", n).tolist()
        ending = self._grammar.make(rng, "filler.close", n).tolist()
        luck = rng.random((n, 3)).tolist()
        for i, text in enumerate(templates.tolist()):
            moved = self._move(rng, text) if luck[i][0] < MOVED else text
            # The word rule cannot change {Q} and {A}: no synonym group has a single letter.
            words = _WORD.sub(lambda m: self._swap(rng, m.group()), moved)
            head = opening[i] if luck[i][1] < OPENED else ""
            tail = ending[i] if luck[i][2] < CLOSED else ""
            out[i] = f"{head}{words}{tail}"
        return out

    def _swap(self, rng: Rng, word: str) -> str:
        group = self._groups.get(word.lower())
        if group is None or rng.random() > SWAPPED:
            return word
        chosen = group[int(rng.random() * len(group))]
        return chosen[0].upper() + chosen[1:] if word[0].isupper() else chosen

    @staticmethod
    def _move(rng: Rng, text: str) -> str:
        """The text with the sentences of each paragraph without a slot in another order."""
        parts = text.split("\n")
        for i, part in enumerate(parts):
            sentences = _SENTENCE.split(part)
            if len(sentences) > 1 and "{Q}" not in part and "{A}" not in part:
                parts[i] = " ".join(rng.permutation(sentences).tolist())
        return "\n".join(parts)
