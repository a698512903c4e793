"""The benchmark as one HTML file: plots first, tables under them, nothing loaded from anywhere.

Everything shown is escaped: names of campaigns are ours today, but worlds may be somebody else's. The page
carries a content policy that allows its own style and nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from detector.lab.benchmark import plots
from detector.lab.benchmark.cells import COLUMNS, Json, level_name, median, note, table, wide
from detector.lab.benchmark.plots import Series

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1d2733}
h1{font-size:1.7rem}h2{margin-top:2.4rem;border-bottom:1px solid #ccd3da;padding-bottom:.2rem}
table{border-collapse:collapse;margin:.8rem 0;font-size:13.5px}caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{padding:.22rem .6rem;border-bottom:1px solid #e3e8ec;text-align:right}th{background:#f3f6f8}
td:first-child,th:first-child,td.t,th.t{text-align:left}small,.ci{color:#66727d}svg{max-width:100%;height:auto}
svg text{font:11px system-ui,sans-serif;fill:#333}.grid{stroke:#e3e8ec}.ideal{stroke:#999;stroke-dasharray:4 4}
.whisker{stroke:#111;stroke-width:1.2;fill:none}p.note{max-width:52rem}details{margin:.6rem 0}
"""
LEVEL_FIGURES = (
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
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width">'
        f"<title>hydrawatch benchmark</title><style>{STYLE}</style></head><body>"
        f"<h1>hydrawatch benchmark</h1>{note(_about(found))}" + "".join(sections) + "</body></html>\n"
    )


def _about(found: Json) -> str:
    """What was run, in a sentence."""
    worlds = found["worlds"]
    evasion_levels = found["columns"]["same"]["evasion_levels"]
    days = sum(row["honest_account_days"][0] or 0 for row in evasion_levels)
    attackers = sum(row["n_attackers"][0] or 0 for row in evasion_levels)
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


def _summary(found: Json) -> str:
    columns = _shown(found)
    labels = [level_name(r["evasion_level"]) for r in columns["same"]["evasion_levels"]]
    made = ["<h2>By evasion level</h2>"]
    made.append(
        note(
            "Same generator: the shipped detector on worlds with other seeds. Held out: every account judged by a "
            "detector that saw neither its campaign kind or honest archetype nor its world's scaffold families; this is "
            "the column that counts. The middle column is a detector trained on the same few worlds as the held-out "
            "ones with "
            "nothing held out, so that the price of small training is seen apart. Thresholds come from the pooled "
            "honest accounts of an evasion level; grey figures are 90 % intervals over seeds."
        )
    )
    for key, title in (
        ("recall_at_0.001", "Account recall at 0.1 % false positives"),
        ("pair_f1", "Group pair F1"),
    ):
        series = [_series(COLUMNS[name], column["evasion_levels"], key) for name, column in columns.items()]
        made.append(f"<h3>{escape(title)}</h3>" + plots.bars(title, labels, series))
    for name, column in columns.items():
        body = [[title, *(row.get(key) for row in column["evasion_levels"])] for key, title in LEVEL_FIGURES]
        made.append(
            table(
                COLUMNS[name],
                ["figure", *(level_name(r["evasion_level"]) for r in column["evasion_levels"])],
                body,
            )
        )
    return "".join(made)


def _campaigns(found: Json) -> str:
    made = [
        "<h2>By campaign</h2>",
        note("Recall of each campaign's accounts at its evasion level's pooled 0.1 % threshold."),
    ]
    for name, column in _shown(found).items():
        evasion_levels = [r["evasion_level"] for r in column["evasion_levels"]]
        cells = {(row["campaign"], row["evasion_level"]): row for row in column["campaigns"]}
        body = []
        for campaign in sorted({row["campaign"] for row in column["campaigns"]}):
            line: list[object] = [campaign]
            for evasion_level in evasion_levels:
                row = cells.get((campaign, evasion_level), {})
                count = row.get("n_attackers", [None])[0]
                line += [row.get("recall_at_0.001"), count if count is None else int(count)]
            body.append(line)
        head = ["campaign", *(h for r in evasion_levels for h in (level_name(r), "accounts"))]
        made.append(table(COLUMNS[name], head, body))
    return "".join(made)


def _time_to_alert(found: Json) -> str:
    made = [
        "<h2>Time to the first alert</h2>",
        note(
            "The nightly run, counted in the campaign's active days (1 is the run after its first), that first "
            "alerted one of its accounts; exchanges are its own requests sent by then. Medians over campaign instances."
        ),
    ]
    for name, column in _shown(found).items():
        body = []
        for evasion_level in sorted({row["evasion_level"] for row in column["first_alerts"]}):
            here = [row for row in column["first_alerts"] if row["evasion_level"] == evasion_level]
            nights = [row["first_night"] for row in here if row["first_night"] is not None]
            sent = [row["first_exchanges"] for row in here if row["first_exchanges"] is not None]
            share = [
                row["first_exchanges"] / row["exchanges"]
                for row in here
                if row["first_exchanges"] is not None and row["exchanges"]
            ]
            half = [row["half_night"] for row in here if row["half_night"] is not None]
            body.append(
                [level_name(evasion_level), len(here), len(nights), median(nights), max(nights, default=None), median(sent),
                 median(share), len(half), median(half)]
            )  # fmt: skip
        head = ["evasion_level", "instances", "alerted", "median night", "last night", "median exchanges by then",
                "median share of its volume", "half its accounts alerted", "median night of that"]  # fmt: skip
        made.append(table(COLUMNS[name], head, body))
    return "".join(made)


def _archetypes(found: Json) -> str:
    made = [
        "<h2>Honest look-alikes</h2>",
        note(
            "Honest accounts alerted, and above their evasion level's pooled thresholds, by archetype; all levels together."
        ),
    ]
    for name, column in _shown(found).items():
        keys = ("archetype", "accounts", "alerted", "above_0.001", "above_0.01")
        body = [[row[k] for k in keys] for row in column["archetypes"]]
        made.append(
            table(COLUMNS[name], ["archetype", "accounts", "alerted", "above 0.1 %", "above 1 %"], body)
        )
    return "".join(made)


def _calibration(found: Json) -> str:
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
    return (
        "<h2>Calibration</h2>"
        + note(
            "Accounts' probabilities against what was seen, attackers weighed to the 1 % that scores are made for."
        )
        + plots.reliability("Reliability", points)
        + table("Expected calibration error", ["column", "error"], errors)
        + "<details><summary>Bins</summary>"
        + table("Bins", ["column", "probability", "accounts", "said", "seen"], bins, words=2)
        + "</details>"
    )


def _ablation(found: Json) -> str:
    made = ["<h2>Without a family of evidence</h2>"]
    made.append(
        note("Its terms dropped from the shipped models, nothing fitted again, groups formed as before.")
    )
    for figure, title in (("recall_at_0.001", "Recall at 0.1 %"), ("pair_f1", "Group pair F1")):
        names, evasion_levels, cells = wide(found["ablation"], "family", figure)
        body = [[n or "nothing taken away", *line] for n, line in zip(names, cells, strict=True)]
        made.append(table(title, ["without", *map(level_name, evasion_levels)], body))
    return "".join(made)


def _rivals(found: Json) -> str:
    if not found["rivals"]:
        return ""
    made = ["<h2>Other methods on the same worlds</h2>"]
    made.append(note("Rivals see all days of a world at once and read the same lake."))
    names, evasion_levels, _ = wide(found["rivals"], "rival", "recall_at_0.001")
    for figure, title in (
        ("recall_at_0.001", "Recall at 0.1 %"),
        ("recall_at_0.01", "Recall at 1 %"),
        ("average_precision", "Average precision"),
    ):
        cells = wide(found["rivals"], "rival", figure)[2]
        if figure == "average_precision":
            series = [
                Series(level_name(r), [(line[i] or [None])[0] for line in cells])
                for i, r in enumerate(evasion_levels)
            ]
            made.append(plots.rows(title, names, series))
        made.append(
            table(
                title,
                ["method", *map(level_name, evasion_levels)],
                [[n, *c] for n, c in zip(names, cells, strict=True)],
            )
        )
    return "".join(made)


def _windows(found: Json) -> str:
    rows = [row for row in found["windows"] if row["evasion_level"] is None]
    if not rows:
        return ""
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
    by_level = [
        [
            row["way"],
            level_name(row["evasion_level"]),
            f"{row['share']:.0%}",
            row["attacks"],
            row["detection"],
        ]
        for row in found["windows"]
        if row["evasion_level"] is not None
    ]
    return (
        "<h2>Mixed windows of 100 requests</h2>"
        + note(
            "One made-up account sends 100 requests, part of them harvest; detection at 1 % of ordinary windows. The "
            "published "
            "figures are of another data set and stand beside for orientation; MMD here ran on the very same windows."
        )
        + plots.bars("Detection of mixed windows at 1 % false positives", labels, series)
        + table("Detection at 1 % false positives", ["way", *labels], body)
        + "<details><summary>By evasion level</summary>"
        + table(
            "By evasion level", ["way", "evasion_level", "harvest", "windows", "detection"], by_level, words=3
        )
        + "</details>"
    )


def _missing(found: Json) -> str:
    if not found["missing"]:
        return ""
    made = [
        "<h2>When an input is missing</h2>",
        note("Other, smaller worlds whose operator does not log the input."),
    ]
    for figure, title in (("recall_at_0.001", "Recall at 0.1 %"), ("average_precision", "Average precision")):
        names, evasion_levels, cells = wide(found["missing"], "missing", figure)
        body = [["no " + str(n), *line] for n, line in zip(names, cells, strict=True)]
        made.append(table(title, ["missing", *map(level_name, evasion_levels)], body))
    errors = {row["missing"]: row["calibration_error"] for row in found["missing"]}
    made.append(
        table("Expected calibration error", ["missing", "error"], [["no " + m, e] for m, e in errors.items()])
    )
    return "".join(made)


def _full(found: Json) -> str:
    keys = ("seed", "evasion_level", "attackers", "accounts", "requests", "recall_at_0.001", "average_precision", "pair_f1",
            "false_groups_per_10000", "volume_at_first_alert")  # fmt: skip
    body = [[", ".join(row["campaigns"]), *(row.get(k) for k in keys)] for row in found["full"]]
    made = table("Published sizes and 0.1 % worlds", ["campaigns", *keys], body)
    return f"<h2>Large worlds</h2>{made}" if made else ""


def _leaks(found: Json) -> str:
    made = ["<h2>Leak check</h2>"]
    made.append(
        note(
            "AUC of single fields of an account, either direction. On evasion levels 2 and 3 a world with a field above .85 "
            f"is rejected and another seed taken: {len(found['rejected'])} were. (On levels 0 and 1 cards and addresses "
            "are meant to show.)"
        )
    )
    names, evasion_levels, mean = wide(found["leaks"], "field", "mean")
    worst = wide(found["leaks"], "field", "worst")[2]
    body = sorted(
        (
            [n, *(v for pair in zip(a, b, strict=True) for v in pair)]
            for n, a, b in zip(names, mean, worst, strict=True)
        ),
        key=lambda line: -max(v for v in line[1:] if isinstance(v, float)),
    )
    head = ["field", *(h for r in evasion_levels for h in (f"{level_name(r)}, mean", "worst"))]
    made.append(
        "<details><summary>Every field</summary>" + table("AUC by evasion level", head, body) + "</details>"
    )
    refused = [[r["evasion_level"], r["seed"], r["field"], r["auc"]] for r in found["rejected"]]
    made.append(table("Rejected worlds", ["evasion_level", "seed", "field", "AUC"], refused))
    lost = [[row["evasion_level"], row["seed"], row["reason"]] for row in found["dropped"]]
    made.append(
        table("Worlds left out: a field leaked in every seed tried", ["evasion_level", "seed", "tried"], lost)
    )
    return "".join(made)


def _worlds(found: Json) -> str:
    keys = (
        "seed",
        "evasion_level",
        "families",
        "requests",
        "accounts",
        "attackers",
        "framed",
        "leakiest",
        "leak_auc",
        "seconds",
    )
    body = [[", ".join(row["campaigns"]), *(row[k] for k in keys)] for row in found["worlds"]]
    return "<h2>Worlds</h2>" + table("Worlds reported on", ["campaigns", *keys], body)
