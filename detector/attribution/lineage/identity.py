"""Identity slips: a student that says it is its teacher. A slip is a hint, never proof.

Slips are counted in both directions, because the direction is the point: a student claims to be the teacher, and the
teacher never claims to be the student. A prompt can make any model say a name, and public text is full of one
assistant's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Maker -> names of the maker and its assistants.
MAKERS: dict[str, tuple[str, ...]] = {
    "openai": ("OpenAI", "ChatGPT", "GPT-3", "GPT-4", "GPT-5"),
    "anthropic": ("Anthropic", "Claude"),
    "google": ("Google", "Gemini", "Bard", "DeepMind", "Gemma"),
    "meta": ("Meta AI", "Llama", "LLaMA"),
    "mistral": ("Mistral AI", "Mistral", "Mixtral", "Le Chat"),
    "alibaba": ("Alibaba", "Qwen", "Tongyi", "通义", "千问", "阿里"),
    "deepseek": ("DeepSeek", "深度求索"),
    "zhipu": ("Zhipu", "ChatGLM", "GLM-4", "智谱"),
    "01ai": ("01.AI", "零一万物", "Yi-34B", "Yi-Large"),
    "moonshot": ("Moonshot", "Kimi", "月之暗面"),
    "xai": ("xAI", "Grok"),
    "cohere": ("Cohere", "Command R"),
    "baidu": ("Baidu", "ERNIE", "文心", "百度"),
    "microsoft": ("Microsoft", "Copilot", "Phi-3"),
}
#: Language -> words before the name in a claim about oneself. A few words may stand between them and the name.
_CLAIMS: dict[str, str] = {
    "en": r"(?:\bI am|\bI['’]m|\bmy name is|\bas an? (?:AI |language )+model"
    r"|\bI was (?:made|trained|created|developed|built))",
    "es": r"(?:\bsoy|\bme llamo|\bmi nombre es|\b(?:fui|he sido) (?:cread|entrenad|desarrollad)[oa])",
    "fr": r"(?:\bje suis|\bje m['’]appelle|\bj['’]ai été (?:créé|entraîné|développé)e?)",
    "de": r"(?:\bich bin|\bich heiße|\bmein Name ist|\bich wurde)",
    "pt": r"(?:\beu sou|\bsou um|\bmeu nome é|\bfui (?:criad|treinad|desenvolvid)[oa])",
    "it": r"(?:\b(?:io )?sono (?:un|una|stato|stata)|\bmi chiamo)",
    "ru": r"(?:\bя [—-]|\bменя зовут"
    r"|\bменя (?:создал|обучил|разработал)\w*|\bя (?:был|была) (?:создан|обучен|разработан)\w*)",
    "zh": r"(?:我是|我叫|我的名字是|我由|作为由)",
    "ja": r"(?:私は|わたしは|僕は)",
    "ko": r"(?:저는|나는|제 이름은)",
}
_GAP = r"[^.!?。！？\n]{0,60}?"
_DENIAL = re.compile(
    r"\b(?:not|n['’]t|never|no soy|pas|nicht|não|non)\b|不是|并非|ではな|아니|\bне\b", re.IGNORECASE
)


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    def word(name: str) -> str:
        return rf"(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z])" if name.isascii() else re.escape(name)

    claims = "|".join(f"(?P<{language}>{before})" for language, before in _CLAIMS.items())
    return re.compile(
        rf"(?:{claims})(?P<between>{_GAP})(?:{'|'.join(word(n) for n in names)})", re.IGNORECASE
    )


@dataclass(frozen=True)
class Slips:
    """How often texts claim to come from a maker: texts, claims, and claims by language."""

    n_texts: int
    n_claims: int
    languages: dict[str, int]

    @property
    def share(self) -> float:
        return self.n_claims / self.n_texts if self.n_texts else 0.0


def slips(texts: Sequence[str | None], names: Sequence[str]) -> Slips:
    """Texts that claim in the first person to be, or to be made by, one of ``names``. A denial is no claim."""
    pattern = _pattern(names)
    languages: dict[str, int] = {}
    claims = 0
    for text in texts:
        for claim in pattern.finditer((text or "")[:4000]):
            if _DENIAL.search(claim.group("between")) or _DENIAL.search(claim.group(0)[:12]):
                continue
            language = next(k for k in _CLAIMS if claim.group(k) is not None)
            languages[language] = languages.get(language, 0) + 1
            claims += 1
            break
    return Slips(len(texts), claims, dict(sorted(languages.items())))


def names_of(model: str, maker: str | None) -> tuple[str, ...]:
    """Names of a model: those of its maker, where the maker or the label is recognised, else the label itself."""
    maker_name = (maker or "").lower()
    for key, names in MAKERS.items():
        if key in maker_name or (maker_name and maker_name in key):
            return names
    if maker:
        return (maker, model)
    lowered = model.lower()
    for names in MAKERS.values():
        if any(name.lower().split()[0] in lowered for name in names):
            return names
    return (model,)


@dataclass(frozen=True)
class BothWays:
    """How often the suspect names the candidate's maker, and how often the candidate names the suspect's."""

    suspect_claims: Slips
    candidate_claims: Slips
    hint: str


def both_ways(
    suspect_texts: Sequence[str | None],
    candidate_texts: Sequence[str | None],
    suspect_names: Sequence[str],
    candidate_names: Sequence[str],
) -> BothWays:
    """Compare the two directions. The hint says in words what they are worth."""
    there = slips(suspect_texts, candidate_names)
    back = slips(candidate_texts, suspect_names)
    if set(suspect_names) & set(candidate_names):
        hint = "same maker: a shared name says nothing"
    elif there.n_claims >= 2 and back.n_claims == 0:
        hint = (
            "the suspect names the candidate's maker as its own, never the other way round: a hint, no proof"
        )
    elif there.n_claims and back.n_claims:
        hint = "both name each other: says nothing"
    elif back.n_claims >= 2:
        hint = "the candidate names the suspect's maker: speaks for the other direction"
    else:
        hint = "no identity slip seen; without identity questions among the prompts none is expected"
    return BothWays(there, back, hint)
