"""The model card: the training data, how often the model is right, and what it cannot prove."""

from __future__ import annotations

from detector.attribution.corpus.calibrating import HABITS_FROM
from detector.attribution.corpus.rule import FALSE_REJECTIONS, KNOWN, REJECT_FROM
from detector.attribution.fingerprint.model import Fingerprint


def _cell(value: object) -> str:
    """A name as a Markdown table cell: one line, no bars, no control characters."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text.replace("|", "\\|").replace("<", "&lt;")[:80]


def card_of(model: Fingerprint, *, source: str) -> str:
    """The card as Markdown; ``source`` is what the user trained on."""
    facts = model.facts
    low, high = facts["accuracy_interval"]
    grouped = (
        f"Split by the group column into {facts['folds']} folds; no prompt stands on both sides."
        if facts["grouped"]
        else "**No group column was named**: only equal texts were kept together. If several models answered the same "
        "prompts, the figures below are flattering - train again with `--group`."
    )
    lines = [
        "# Attribution model",
        "",
        f"Names the author of a text among {model.n_known} known models. Made by `hydrawatch attribute train`.",
        "",
        "## Data",
        f"* Source: `{_cell(source)}`; {facts['n_texts']:,} texts, {facts['n_groups']:,} groups, "
        f"{facts['n_skipped']:,} rows left out for want of text or label.",
        f"* {grouped}",
        f"* Background texts of other models: {facts['n_background']:,}.",
        f"* Every text was also shown stripped of layout, cut to 50 words and perturbed. Seed {facts['seed']}, "
        f"device {facts['device']}, {facts['seconds']} s.",
        "",
        "| class | texts | named right | texts for 99.9 % |",
        "|---|---|---|---|",
    ]
    for number, name in enumerate(model.classes):
        recall, needed = facts["recall_a_class"][name], model.rule.texts_needed(number)
        lines.append(
            f"| {_cell(name)} | {facts['texts_a_class'][name]:,} | {'-' if recall is None else f'{recall:.3f}'} | "
            f"{needed or 'not at this rate'} |"
        )
    lines += [
        "",
        "## How often it is right (held-out groups, one text)",
        f"* Accuracy {facts['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}).",
        f"* Calibration error {facts['calibration_error']:.3f}: the mean gap between stated and true probability.",
        *(f"* Member {name} alone: {value:.3f}" for name, value in facts["accuracy_a_member"].items()),
        *(f"* Texts {name}: {value:.3f}" for name, value in facts["accuracy_a_copy"].items()),
        *(
            f"* Confused: {_cell(a)} taken for {_cell(b)} in {share:.1%}"
            for a, b, share in facts["most_confused"]
        ),
        "",
        "## Many texts of one hand",
        f"Calibrated for {', '.join(map(str, model.rule.sizes))} texts. From {REJECT_FROM} texts on, a corpus that its "
        f"best class explains worse than {1 - FALSE_REJECTIONS:.0%} of that class's own groups is `none of these`; "
        f"`known` wants a probability of {KNOWN}; the rest is `too few texts`.",
        f"From {HABITS_FROM} texts on the mean habits of the corpus speak beside the sums."
        if model.rule.habits is not None
        else "Sums of log-probabilities decide: there were too few prompts or texts for mean habits.",
        "",
        "## What it cannot do",
        "* One text proves nothing. The figure for one text is an accuracy over many, not evidence about this one.",
        "* It knows the models it was shown. A later version, another system prompt, a translation or a real "
        "paraphrase is another distribution; the intervals above do not cover it.",
        "* Versions of one family are told apart far worse than families; read the family first.",
        '* "None of these" is tuned on its own classes; how many strangers it turns away depends on the strangers.',
        "* It names who wrote a text, not who trained on whom: `hydrawatch attribute compare` asks that.",
        "* It was shown no questions about identity unless the training data had them.",
        "",
    ]
    return "\n".join(lines)
