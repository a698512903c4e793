"""The benchmark as one HTML file: charts first, tables under them, nothing loaded from anywhere.

This file says what the page shows, in order; the template how. Names of campaigns are ours today, but worlds may be
somebody else's: the template escapes whatever it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.charts.figures import Series, bars, dots, reliability
from detector.lab.benchmark.cells import (
    COLUMNS,
    Chart,
    Folded,
    Json,
    Section,
    Table,
    median,
    rung_name,
    wide,
)
from detector.report.pages import drawn
from detector.report.pages import render as render_page

RUNG_FIGURES = (
    ("recall_at_0.001", "recall at 0.1 % false positives"),
    ("recall_at_0.01", "recall at 1 %"),
    ("average_precision", "average precision"),
    ("alerted_recall", "attackers alerted"),
    ("alert_precision", "alerts that are right"),
    ("pair_precision", "group pair precision"),
    ("pair_recall", "group pair recall"),
    ("pair_f1", "group pair F1"),
    ("lump_f1", "F1 of all alerts in one lump"),
    ("false_groups_per_10000", "false groups per 10,000 honest accounts and day"),
    ("false_lone_per_10000", "false single-account alerts, same"),
    ("alerted_framed_share", "framed honest accounts alerted"),
    ("n_attackers", "attacking accounts"),
    ("n_honest", "honest accounts"),
    ("honest_account_days", "honest account-days"),
)


def render(found: Json) -> str:
    """The report of what :func:`detector.lab.benchmark.backtest.run` gives."""
    sections = [
        _summary(found),
        _campaigns(found),
        _time_to_alert(found),
        _archetypes(found),
        _calibration(found),
        _ablation(found),
        _rivals(found),
        _windows(found),
        _missing(found),
        _full(found),
        _leaks(found),
        _worlds(found),
    ]
    return render_page(
        "benchmark.html.j2",
        package=__package__,
        about=_about(found),
        sections=[section for section in sections if section],
        drawn=drawn,
    )


def _about(found: Json) -> str:
    """What was run, in a sentence."""
    worlds = found["worlds"]
    rungs = found["columns"]["same"]["rungs"]
    days = sum(row["honest_account_days"][0] or 0 for row in rungs)
    attackers = sum(row["n_attackers"][0] or 0 for row in rungs)
    return (
        f"{len(worlds)} worlds that no detector was trained on, {sum(w['requests'] for w in worlds):,} requests, "
        f"{days:,.0f} honest account-days, {attackers:,.0f} attacking accounts; model "
        f"{found['model']}; {found['seconds'] / 60:.0f} minutes. Worlds and attacks are made up: read the figures "
        "as upper bounds."
    )


def _shown(found: Json) -> dict[str, Json]:
    return {name: found["columns"][name] for name in COLUMNS if name in found["columns"]}


def _series(name: str, rows: Sequence[Json], key: str) -> Series:
    cells = [row.get(key) or [None, None, None] for row in rows]
    return Series(name, [c[0] for c in cells], [c[1] for c in cells], [c[2] for c in cells])


def _summary(found: Json) -> Section:
    columns = _shown(found)
    labels = [rung_name(r["rung"]) for r in columns["same"]["rungs"]]
    note = (
        "Same generator: the shipped detector on worlds with other seeds. Held out: every account judged by a "
        "detector that saw neither its campaign kind or honest archetype nor its world's scaffold families; this is "
        "the column that counts. The middle column is a detector trained on the same few worlds as the held-out ones "
        "with nothing held out, so that the price of small training is seen apart. Thresholds come from the pooled "
        "honest accounts of a rung; grey figures are 90 % intervals over seeds."
    )
    charts = [
        Chart(title, bars(title, labels, [_series(COLUMNS[n], c["rungs"], key) for n, c in columns.items()]))
        for key, title in (
            ("recall_at_0.001", "Account recall at 0.1 % false positives"),
            ("pair_f1", "Group pair F1"),
        )
    ]
    tables = [
        Table(
            COLUMNS[name],
            ["figure", *(rung_name(r["rung"]) for r in column["rungs"])],
            [[title, *(row.get(key) for row in column["rungs"])] for key, title in RUNG_FIGURES],
        )
        for name, column in columns.items()
    ]
    return Section("By rung", note, [*charts, *tables])


def _campaigns(found: Json) -> Section:
    tables = []
    for name, column in _shown(found).items():
        rungs = [r["rung"] for r in column["rungs"]]
        cells = {(row["campaign"], row["rung"]): row for row in column["campaigns"]}
        body = []
        for campaign in sorted({row["campaign"] for row in column["campaigns"]}):
            line: list[object] = [campaign]
            for rung in rungs:
                row = cells.get((campaign, rung), {})
                count = row.get("n_attackers", [None])[0]
                line += [row.get("recall_at_0.001"), count if count is None else int(count)]
            body.append(line)
        head = ["campaign", *(h for r in rungs for h in (rung_name(r), "accounts"))]
        tables.append(Table(COLUMNS[name], head, body))
    note = "Recall of each campaign's accounts at its rung's pooled 0.1 % threshold."
    return Section("By campaign", note, tables)


def _time_to_alert(found: Json) -> Section:
    note = (
        "The nightly run, counted in the campaign's active days (1 is the run after its first), that first alerted "
        "one of its accounts; exchanges are its own requests sent by then. Medians over campaign instances."
    )
    head = ["rung", "instances", "alerted", "median night", "last night", "median exchanges by then",
            "median share of its volume", "half its accounts alerted", "median night of that"]  # fmt: skip
    tables = []
    for name, column in _shown(found).items():
        rungs = sorted({row["rung"] for row in column["first_alerts"]})
        body = [
            _nights(rung, [row for row in column["first_alerts"] if row["rung"] == rung]) for rung in rungs
        ]
        tables.append(Table(COLUMNS[name], head, body))
    return Section("Time to the first alert", note, tables)


def _nights(rung: int, here: Sequence[Json]) -> list[object]:
    """One rung's line of the times to the first alert."""
    nights = [row["first_night"] for row in here if row["first_night"] is not None]
    sent = [row["first_exchanges"] for row in here if row["first_exchanges"] is not None]
    share = [
        row["first_exchanges"] / row["exchanges"]
        for row in here
        if row["first_exchanges"] is not None and row["exchanges"]
    ]
    half = [row["half_night"] for row in here if row["half_night"] is not None]
    return [rung_name(rung), len(here), len(nights), median(nights), max(nights, default=None), median(sent),
            median(share), len(half), median(half)]  # fmt: skip


def _archetypes(found: Json) -> Section:
    keys = ("archetype", "accounts", "alerted", "above_0.001", "above_0.01")
    head = ["archetype", "accounts", "alerted", "above 0.1 %", "above 1 %"]
    return Section(
        "Honest look-alikes",
        "Honest accounts alerted, and above their rung's pooled thresholds, by archetype; all rungs together.",
        [
            Table(COLUMNS[name], head, [[row[k] for k in keys] for row in column["archetypes"]])
            for name, column in _shown(found).items()
        ],
    )


def _calibration(found: Json) -> Section:
    columns = _shown(found)
    points = [
        (COLUMNS[name], [(b["said"], b["seen"], b["n"]) for b in column["reliability"]])
        for name, column in columns.items()
    ]
    errors = [[COLUMNS[name], column["calibration_error"]] for name, column in columns.items()]
    bins = [
        [COLUMNS[name], f"{b['from']:g}–{b['to']:g}", b["n"], b["said"], b["seen"]]
        for name, column in columns.items()
        for b in column["reliability"]
    ]
    head = ["column", "probability", "accounts", "said", "seen"]
    return Section(
        "Calibration",
        "Accounts' probabilities against what was seen, attackers weighed to the 1 % that scores are made for.",
        [
            Chart("Reliability", reliability("Reliability", points)),
            Table("Expected calibration error", ["column", "error"], errors),
            Folded("Bins", Table("Bins", head, bins, words=2)),
        ],
    )


def _ablation(found: Json) -> Section:
    tables = []
    for figure, title in (("recall_at_0.001", "Recall at 0.1 %"), ("pair_f1", "Group pair F1")):
        names, rungs, cells = wide(found["ablation"], "family", figure)
        body = [[n or "nothing taken away", *line] for n, line in zip(names, cells, strict=True)]
        tables.append(Table(title, ["without", *map(rung_name, rungs)], body))
    note = "Its terms dropped from the shipped models, nothing fitted again, groups formed as before."
    return Section("Without a family of evidence", note, tables)


def _rivals(found: Json) -> Section | None:
    if not found["rivals"]:
        return None
    names, rungs, _ = wide(found["rivals"], "rival", "recall_at_0.001")
    parts: list[Table | Chart] = []
    for figure, title in (
        ("recall_at_0.001", "Recall at 0.1 %"),
        ("recall_at_0.01", "Recall at 1 %"),
        ("average_precision", "Average precision"),
    ):
        cells = wide(found["rivals"], "rival", figure)[2]
        if figure == "average_precision":
            series = [
                Series(rung_name(r), [(line[i] or [None])[0] for line in cells]) for i, r in enumerate(rungs)
            ]
            parts.append(Chart(title, dots(title, names, series)))
        body = [[n, *c] for n, c in zip(names, cells, strict=True)]
        parts.append(Table(title, ["method", *map(rung_name, rungs)], body))
    note = "Rivals see all days of a world at once and read the same lake."
    return Section("Other methods on the same worlds", note, parts)


def _windows(found: Json) -> Section | None:
    rows = [row for row in found["windows"] if row["rung"] is None]
    if not rows:
        return None
    shares = sorted({row["share"] for row in rows})
    ways = list(dict.fromkeys(row["way"] for row in rows))
    cells = {(row["way"], row["share"]): row for row in rows}
    series = [Series(way, [cells[way, s]["detection"] for s in shares]) for way in ways]
    published = [cells[ways[0], s]["published_mmd"] for s in shares]
    series.append(Series("MMD as published", published))
    labels = [f"{s:.0%} harvest" for s in shares]
    body: list[list[object]] = [[s.name, *s.values] for s in series]
    for what, key in (("windows with harvest", "attacks"), ("ordinary windows", "ordinary")):
        body.append([what, *(cells[ways[0], s][key] for s in shares)])
    by_rung = [
        [row["way"], rung_name(row["rung"]), f"{row['share']:.0%}", row["attacks"], row["detection"]]
        for row in found["windows"]
        if row["rung"] is not None
    ]
    title = "Detection of mixed windows at 1 % false positives"
    return Section(
        "Mixed windows of 100 requests",
        "One made-up account sends 100 requests, part of them harvest; detection at 1 % of ordinary windows. The "
        "published figures are of another data set and stand beside for orientation; MMD here ran on the very same "
        "windows.",
        [
            Chart(title, bars(title, labels, series)),
            Table("Detection at 1 % false positives", ["way", *labels], body),
            Folded(
                "By rung",
                Table("By rung", ["way", "rung", "harvest", "windows", "detection"], by_rung, words=3),
            ),
        ],
    )


def _missing(found: Json) -> Section | None:
    if not found["missing"]:
        return None
    tables = []
    for figure, title in (("recall_at_0.001", "Recall at 0.1 %"), ("average_precision", "Average precision")):
        names, rungs, cells = wide(found["missing"], "missing", figure)
        body = [["no " + str(n), *line] for n, line in zip(names, cells, strict=True)]
        tables.append(Table(title, ["missing", *map(rung_name, rungs)], body))
    errors = {row["missing"]: row["calibration_error"] for row in found["missing"]}
    tables.append(
        Table("Expected calibration error", ["missing", "error"], [["no " + m, e] for m, e in errors.items()])
    )
    return Section(
        "When an input is missing", "Other, smaller worlds whose operator does not log the input.", tables
    )


def _full(found: Json) -> Section | None:
    if not found["full"]:
        return None
    keys = ("seed", "rung", "attackers", "accounts", "requests", "recall_at_0.001", "average_precision", "pair_f1",
            "false_groups_per_10000", "volume_at_first_alert")  # fmt: skip
    body = [[", ".join(row["campaigns"]), *(row.get(k) for k in keys)] for row in found["full"]]
    return Section(
        "Large worlds", parts=[Table("Published sizes and 0.1 % worlds", ["campaigns", *keys], body)]
    )


def _leaks(found: Json) -> Section:
    names, rungs, mean = wide(found["leaks"], "field", "mean")
    worst = wide(found["leaks"], "field", "worst")[2]
    body = sorted(
        (
            [n, *(v for pair in zip(a, b, strict=True) for v in pair)]
            for n, a, b in zip(names, mean, worst, strict=True)
        ),
        key=lambda line: -max(v for v in line[1:] if isinstance(v, float)),
    )
    head = ["field", *(h for r in rungs for h in (f"{rung_name(r)}, mean", "worst"))]
    refused = [[r["rung"], r["seed"], r["field"], r["auc"]] for r in found["rejected"]]
    lost = [[row["rung"], row["seed"], row["reason"]] for row in found["dropped"]]
    return Section(
        "Leak check",
        "AUC of single fields of an account, either direction. On rungs 2 and 3 a world with a field above .85 "
        f"is rejected and another seed taken: {len(found['rejected'])} were. (On rungs 0 and 1 cards and addresses "
        "are meant to show.)",
        [
            Folded("Every field", Table("AUC by rung", head, body)),
            Table("Rejected worlds", ["rung", "seed", "field", "AUC"], refused),
            Table("Worlds left out: a field leaked in every seed tried", ["rung", "seed", "tried"], lost),
        ],
    )


def _worlds(found: Json) -> Section:
    keys = ("seed", "rung", "families", "requests", "accounts", "attackers", "framed", "leakiest", "leak_auc",
            "seconds")  # fmt: skip
    body = [[", ".join(row["campaigns"]), *(row[k] for k in keys)] for row in found["worlds"]]
    return Section("Worlds", parts=[Table("Worlds reported on", ["campaigns", *keys], body)])
