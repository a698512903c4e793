"""Made wordings to learn what asks for training material, and what only looks like it.

One line is one *family*: a form of words with alternatives in braces, its kinds before the bar. Families,
not rows, are held out when the model is measured, since rows of a family are near copies. ``<q>`` stands
for a question, ``<a>`` for an answer, ``<t>`` for a passage, ``<d>`` for a field, ``<n>`` for a figure.
All of it was written for this project; none was taken from anybody's traffic.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detector.lab.training.text_concepts import CARRIERS, CONCEPTS, TOPICS
from detector.lab.training.text_wordings import CAPABILITY, ELICITING, HONEST

__all__ = ["Family", "capability_families", "elicitation_families", "expand"]

#: A phrase varies less than a form of words: fewer wordings say all of it.
PHRASE_DRAWS = 0.2

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<([qatdn])>")


_ABOUT = {
    "en": "{{Help me with|I have a question about|Something on|Work on|Now do|Tell me about|} @{, please"
    "| for <n> people| today||.|?}|{Hi|Hello}, @ {again|needed|}|@: <d>}",
    "zh": "{{请|帮我|我想问}@{。|，谢谢|}|关于@的{问题|任务|请求}|@：<d>}",
}


@dataclass(frozen=True)
class Family:
    """A form of words: ``labels`` are kinds (none for honest ones) or the capability; ``language`` its code;
    ``draws`` is how many wordings are drawn of it against others."""

    name: str
    labels: frozenset[str]
    language: str
    form: str
    draws: float = 1.0


def elicitation_families() -> tuple[Family, ...]:
    """Families of the five kinds, and honest ones that resemble them."""
    return _read(ELICITING, "ask") + _read(HONEST, "honest") + _phrases(CONCEPTS, "phrase", CARRIERS)


def capability_families() -> tuple[Family, ...]:
    """Families labelled with the capability they draw on."""
    plain = {language: _ABOUT[language] for language in ("en", "zh")}
    return _read(CAPABILITY, "able") + _phrases(TOPICS, "topic", plain)


def expand(form: str, rng: random.Random, slots: Mapping[str, Callable[[], str]]) -> str:
    """One wording of a form: every brace resolved, innermost first, then every slot filled."""
    while True:
        changed = _CHOICE.sub(lambda m: rng.choice(m.group(1).split("|")), form)
        if changed == form:
            break
        form = changed
    return _SLOT.sub(lambda m: slots[m.group(1)](), form.replace("\\n", "\n"))


def _read(text: str, prefix: str) -> tuple[Family, ...]:
    families = []
    for number, line in enumerate(text.strip().splitlines()):
        head, _, form = line.partition(" : ")
        language, _, labels = head.partition(" ")
        names = frozenset(labels.replace("honest", "").split("+")) - {""}
        families.append(Family(f"{prefix}{number}", names, language, form))
    return tuple(families)


def _phrases(text: str, prefix: str, carriers: Mapping[str, str]) -> tuple[Family, ...]:
    """Each phrase of a list as a family inside the carriers of its language."""
    families = []
    for number, line in enumerate(text.strip().splitlines()):
        head, _, phrases = line.partition(" : ")
        language, _, labels = head.partition(" ")
        names = frozenset(labels.replace("honest", "").split("+")) - {""}
        for place, phrase in enumerate(phrases.split("|")):
            form = carriers[language].replace("@", phrase)
            families.append(Family(f"{prefix}{number}.{place}", names, language, form, PHRASE_DRAWS))
    return tuple(families)
