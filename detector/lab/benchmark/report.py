"""The benchmark as one HTML file, nothing loaded from anywhere: ``sections`` say what it shows, the template how.

Names of campaigns are ours today, but worlds may be somebody else's: the template escapes whatever it is given.
"""

from __future__ import annotations

from detector.lab.benchmark.cells import Json
from detector.lab.benchmark.sections import sections
from detector.report.pages import drawn
from detector.report.pages import render as render_page


def render(results: Json) -> str:
    """The report of what :func:`detector.lab.benchmark.backtest.run` gives."""
    return render_page(
        "benchmark.html.j2",
        package=__package__,
        about=_about(results),
        sections=sections(results),
        drawn=drawn,
    )


def _about(results: Json) -> str:
    """What was run, in a sentence."""
    worlds = results["worlds"]
    levels = results["columns"]["same"]["evasion_levels"]
    days = sum(row["honest_account_days"][0] or 0 for row in levels)
    attackers = sum(row["n_attackers"][0] or 0 for row in levels)
    return (
        f"{len(worlds)} worlds that no detector was trained on, {sum(w['requests'] for w in worlds):,} requests, "
        f"{days:,.0f} honest account-days, {attackers:,.0f} attacking accounts; model "
        f"{results['model']}; {results['seconds'] / 60:.0f} minutes. Worlds and attacks are made up: read the figures "
        "as upper bounds."
    )
