"""What the benchmark's page shows, section by section: charts first, the tables under them."""

from __future__ import annotations

from collections.abc import Sequence

from detector.charts.figures import Series, bars, dots, reliability
from detector.lab.benchmark.cells import (
    COLUMNS,
    LEVEL_FIGURES,
    Chart,
    Folded,
    Json,
    Section,
    Table,
    level_name,
    median,
    wide,
)


def sections(results: Json) -> list[Section]:
    """Every section, in order, that ``results`` has figures for."""
    candidates = (
        _summary(results),
        _campaigns(results),
        _time_to_alert(results),
        _archetypes(results),
        _calibration(results),
        _ablation(results),
        _rivals(results),
        _windows(results),
        _missing(results),
        _full(results),
        _leaks(results),
        _worlds(results),
    )
    return [section for section in candidates if section]


def _shown(results: Json) -> dict[str, Json]:
    return {name: results["columns"][name] for name in COLUMNS if name in results["columns"]}


def _series(name: str, rows: Sequence[Json], key: str) -> Series:
    cells = [row.get(key) or [None, None, None] for row in rows]
    return Series(name, [c[0] for c in cells], [c[1] for c in cells], [c[2] for c in cells])


def _summary(results: Json) -> Section:
    columns = _shown(results)
    labels = [level_name(r["evasion_level"]) for r in columns["same"]["evasion_levels"]]
    note = (
        "Same generator: the shipped detector on worlds with other seeds. Held out: every account judged by a "
        "detector that saw neither its campaign kind or honest archetype nor its world's scaffold families; this is "
        "the column that counts. The middle column is a detector trained on the same few worlds as the held-out ones "
        "with nothing held out, so that the price of small training is seen apart. Thresholds come from the pooled "
        "honest accounts of an evasion level; grey figures are 90 % intervals over seeds."
    )
    charts = [
        Chart(
            title,
            bars(title, labels, [_series(COLUMNS[n], c["evasion_levels"], key) for n, c in columns.items()]),
        )
        for key, title in (
            ("recall_at_0.001", "Account recall at 0.1 % false positives"),
            ("pair_f1", "Group pair F1"),
        )
    ]
    tables = [
        Table(
            COLUMNS[name],
            ["figure", *(level_name(r["evasion_level"]) for r in column["evasion_levels"])],
            [[title, *(row.get(key) for row in column["evasion_levels"])] for key, title in LEVEL_FIGURES],
        )
        for name, column in columns.items()
    ]
    return Section("By evasion level", note, [*charts, *tables])


def _campaigns(results: Json) -> Section:
    tables = []
    for name, column in _shown(results).items():
        levels = [r["evasion_level"] for r in column["evasion_levels"]]
        cells = {(row["campaign"], row["evasion_level"]): row for row in column["campaigns"]}
        body = []
        for campaign in sorted({row["campaign"] for row in column["campaigns"]}):
            line: list[object] = [campaign]
            for level in levels:
                row = cells.get((campaign, level), {})
                count = row.get("n_attackers", [None])[0]
                line += [row.get("recall_at_0.001"), count if count is None else int(count)]
            body.append(line)
        head = ["campaign", *(h for r in levels for h in (level_name(r), "accounts"))]
        tables.append(Table(COLUMNS[name], head, body))
    note = "Recall of each campaign's accounts at its evasion level's pooled 0.1 % threshold."
    return Section("By campaign", note, tables)


def _time_to_alert(results: Json) -> Section:
    note = (
        "The nightly run, counted in the campaign's active days (1 is the run after its first), that first alerted "
        "one of its accounts; exchanges are its own requests sent by then. Medians over campaign instances."
    )
    head = ["evasion level", "instances", "alerted", "median night", "last night", "median exchanges by then",
            "median share of its volume", "half its accounts alerted", "median night of that"]  # fmt: skip
    tables = []
    for name, column in _shown(results).items():
        levels = sorted({row["evasion_level"] for row in column["first_alerts"]})
        body = [
            _nights(level, [row for row in column["first_alerts"] if row["evasion_level"] == level])
            for level in levels
        ]
        tables.append(Table(COLUMNS[name], head, body))
    return Section("Time to the first alert", note, tables)


def _nights(level: int, here: Sequence[Json]) -> list[object]:
    """One evasion level's line of the times to the first alert."""
    nights = [row["first_night"] for row in here if row["first_night"] is not None]
    sent = [row["first_exchanges"] for row in here if row["first_exchanges"] is not None]
    share = [
        row["first_exchanges"] / row["exchanges"]
        for row in here
        if row["first_exchanges"] is not None and row["exchanges"]
    ]
    half = [row["half_night"] for row in here if row["half_night"] is not None]
    return [level_name(level), len(here), len(nights), median(nights), max(nights, default=None), median(sent),
            median(share), len(half), median(half)]  # fmt: skip


def _archetypes(results: Json) -> Section:
    keys = ("archetype", "accounts", "alerted", "above_0.001", "above_0.01")
    head = ["archetype", "accounts", "alerted", "above 0.1 %", "above 1 %"]
    return Section(
        "Honest look-alikes",
        "Honest accounts alerted, and above their evasion level's pooled thresholds, by archetype; all levels together.",
        [
            Table(COLUMNS[name], head, [[row[k] for k in keys] for row in column["archetypes"]])
            for name, column in _shown(results).items()
        ],
    )


def _calibration(results: Json) -> Section:
    columns = _shown(results)
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


def _ablation(results: Json) -> Section:
    tables = []
    for figure, title in (("recall_at_0.001", "Recall at 0.1 %"), ("pair_f1", "Group pair F1")):
        names, levels, cells = wide(results["ablation"], "family", figure)
        body = [[n or "nothing taken away", *line] for n, line in zip(names, cells, strict=True)]
        tables.append(Table(title, ["without", *map(level_name, levels)], body))
    note = "Its terms dropped from the shipped models, nothing fitted again, groups formed as before."
    return Section("Without a family of evidence", note, tables)


def _rivals(results: Json) -> Section | None:
    if not results["rivals"]:
        return None
    names, levels, _ = wide(results["rivals"], "rival", "recall_at_0.001")
    parts: list[Table | Chart] = []
    for figure, title in (
        ("recall_at_0.001", "Recall at 0.1 %"),
        ("recall_at_0.01", "Recall at 1 %"),
        ("average_precision", "Average precision"),
    ):
        cells = wide(results["rivals"], "rival", figure)[2]
        if figure == "average_precision":
            series = [
                Series(level_name(r), [(line[i] or [None])[0] for line in cells])
                for i, r in enumerate(levels)
            ]
            parts.append(Chart(title, dots(title, names, series)))
        body = [[n, *c] for n, c in zip(names, cells, strict=True)]
        parts.append(Table(title, ["method", *map(level_name, levels)], body))
    note = "Rivals see all days of a world at once and read the same lake."
    return Section("Other methods on the same worlds", note, parts)


def _windows(results: Json) -> Section | None:
    rows = [row for row in results["windows"] if row["evasion_level"] is None]
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
    by_level = [
        [
            row["way"],
            level_name(row["evasion_level"]),
            f"{row['share']:.0%}",
            row["attacks"],
            row["detection"],
        ]
        for row in results["windows"]
        if row["evasion_level"] is not None
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
                "By evasion level",
                Table(
                    "By evasion level",
                    ["way", "evasion level", "harvest", "windows", "detection"],
                    by_level,
                    words=3,
                ),
            ),
        ],
    )


def _missing(results: Json) -> Section | None:
    if not results["missing"]:
        return None
    tables = []
    for figure, title in (("recall_at_0.001", "Recall at 0.1 %"), ("average_precision", "Average precision")):
        names, levels, cells = wide(results["missing"], "missing", figure)
        body = [["no " + str(n), *line] for n, line in zip(names, cells, strict=True)]
        tables.append(Table(title, ["missing", *map(level_name, levels)], body))
    errors = {row["missing"]: row["calibration_error"] for row in results["missing"]}
    tables.append(
        Table("Expected calibration error", ["missing", "error"], [["no " + m, e] for m, e in errors.items()])
    )
    return Section(
        "When an input is missing", "Other, smaller worlds whose operator does not log the input.", tables
    )


def _full(results: Json) -> Section | None:
    if not results["full"]:
        return None
    keys = ("seed", "evasion_level", "attackers", "accounts", "requests", "recall_at_0.001", "average_precision", "pair_f1",
            "false_groups_per_10000", "volume_at_first_alert")  # fmt: skip
    body = [[", ".join(row["campaigns"]), *(row.get(k) for k in keys)] for row in results["full"]]
    return Section(
        "Large worlds", parts=[Table("Published sizes and 0.1 % worlds", ["campaigns", *keys], body)]
    )


def _leaks(results: Json) -> Section:
    names, levels, mean = wide(results["leaks"], "field", "mean")
    worst = wide(results["leaks"], "field", "worst")[2]
    body = sorted(
        (
            [n, *(v for pair in zip(a, b, strict=True) for v in pair)]
            for n, a, b in zip(names, mean, worst, strict=True)
        ),
        key=lambda line: -max(v for v in line[1:] if isinstance(v, float)),
    )
    head = ["field", *(h for r in levels for h in (f"{level_name(r)}, mean", "worst"))]
    refused = [[r["evasion_level"], r["seed"], r["field"], r["auc"]] for r in results["rejected"]]
    lost = [[row["evasion_level"], row["seed"], row["reason"]] for row in results["dropped"]]
    return Section(
        "Leak check",
        "AUC of single fields of an account, either direction. On evasion levels 2 and 3 a world with a field above .85 "
        f"is rejected and another seed taken: {len(results['rejected'])} were. (On levels 0 and 1 cards and addresses "
        "are meant to show.)",
        [
            Folded("Every field", Table("AUC by evasion level", head, body)),
            Table("Rejected worlds", ["evasion level", "seed", "field", "AUC"], refused),
            Table(
                "Worlds left out: a field leaked in every seed tried",
                ["evasion level", "seed", "tried"],
                lost,
            ),
        ],
    )


def _worlds(results: Json) -> Section:
    keys = ("seed", "evasion_level", "families", "requests", "accounts", "attackers", "framed", "leakiest", "leak_auc",
            "seconds")  # fmt: skip
    body = [[", ".join(row["campaigns"]), *(row[k] for k in keys)] for row in results["worlds"]]
    return Section("Worlds", parts=[Table("Worlds reported on", ["campaigns", *keys], body)])
