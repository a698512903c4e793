"""The page of a case: one HTML file that can be mailed and archived, rendered from the case file alone."""

from __future__ import annotations

import math

from markupsafe import Markup

from detector.alert.casefile import CaseFile
from detector.alert.phrases import probability
from detector.bits import odds_bits
from detector.charts.scores import over_days, waterfall
from detector.report.pages import drawn, render

#: Members in the page: more than a browser shows gladly; the lake holds all.
MAX_MEMBERS = 2000
#: What separates an honest explanation from the query that would tell.
_CHECK = " Check: "


def render_page(case: CaseFile) -> str:
    """The case file as one self-contained HTML document, in UTF-8."""
    bits = odds_bits(case.threshold)
    # A day without alerts needs certainty, which is no place on a chart.
    limit = bits if math.isfinite(bits) else None
    return render(
        "case.html.j2",
        case=case,
        words=case.description,
        probability=probability,
        allowed=[entry.sentence() for entry in case.allowed],
        threshold_bits=limit,
        waterfall=_waterfall(case, limit),
        days=_days(case, limit),
        explanations=[line.partition(_CHECK)[::2] for line in case.description.innocent],
        members=case.members[:MAX_MEMBERS],
        n_left=max(0, len(case.members) - MAX_MEMBERS),
    )


def _waterfall(case: CaseFile, limit: float | None) -> Markup | None:
    if not case.parts:
        return None
    shown = [(part.name, part.bits) for part in case.parts]
    return drawn(waterfall(shown, threshold_bits=limit))


def _days(case: CaseFile, limit: float | None) -> Markup | None:
    """One day is no course."""
    if len(case.daily) < 2:
        return None
    shown = [(day.day, day.score_bits) for day in case.daily]
    return drawn(over_days(shown, threshold_bits=limit))
