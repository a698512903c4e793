"""The floors of the house: imports run downward only, the wings never meet, heavy things wait."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Highest floor first; a module may import its own wing and the floors below it.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("detector.cli",),
    ("detector.lab.benchmark",),
    ("detector.lab.training",),
    ("detector.lab.worlds", "detector.lab", "detector.health", "detector.library"),
    ("detector.pipeline",),
    ("detector.report",),
    ("detector.alert", "detector.ingest"),
    ("detector.decide",),
    ("detector.lake", "detector.score", "detector.attribution", "detector.config"),
    ("detector.link",),
    ("detector.charts",),
    ("detector.errors",),
    ("detector.clean", "detector.bits", "detector.frames", "detector.tuning"),
    ("features",),
    ("rules",),
)


def wing(module: str) -> tuple[int, str] | None:
    for number, floor in enumerate(FLOORS):
        for name in floor:
            if module == name or module.startswith(name + "."):
                return number, name
    return None


def modules() -> list[Path]:
    return sorted(p for top in ("detector", "features", "rules") for p in (ROOT / top).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return found


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_run_downward(path: Path) -> None:
    here = wing(dotted(path))
    if here is None:
        assert dotted(path) in ("detector", "detector.__main__")
        return
    for name in imports(path):
        there = wing(name)
        if there is None or there[1] == here[1]:
            continue
        assert there[0] > here[0], f"{dotted(path)} imports {name}: same floor or above"


def test_alerts_and_decisions_never_open_the_lake() -> None:
    """They lie above it, and are handed what they need all the same: what is pure can be tried on literal rows."""
    pure = ("detector.decide", "detector.alert")
    guilty = [
        dotted(p)
        for p in modules()
        if dotted(p).startswith(pure) and any(name.startswith("detector.lake") for name in imports(p))
    ]
    assert guilty == []


def test_every_package_is_on_a_floor() -> None:
    packages = {dotted(p) for p in modules() if p.name == "__init__.py"}
    lost = [p for p in packages if p != "detector" and wing(p) is None]
    assert not lost


def test_only_attribution_imports_torch() -> None:
    guilty = [
        dotted(p)
        for p in modules()
        if any(i == "torch" or i.startswith("torch.") for i in imports(p))
        and not dotted(p).startswith("detector.attribution")
    ]
    assert guilty == []


def test_features_and_rules_raise_only_an_authors_mistakes() -> None:
    allowed = {"ValueError", "TypeError", "FileNotFoundError", "StopIteration"}
    for path in modules():
        if dotted(path).split(".")[0] == "detector":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert isinstance(node.exc.func, ast.Name), dotted(path)
                assert node.exc.func.id in allowed, f"{dotted(path)}:{node.lineno}"


def test_no_module_is_called_utils() -> None:
    banned = {"utils", "util", "helpers", "helper", "manager", "base", "common"}
    assert [dotted(p) for p in modules() if p.stem in banned] == []


def test_nothing_is_pickled() -> None:
    banned = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    assert [dotted(p) for p in modules() if imports(p) & banned] == []


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; import detector.cli; "
        "heavy = {'torch', 'sklearn', 'pandas', 'polars', 'duckdb', 'pyarrow', 'scipy', 'networkx', 'numpy', "
        "'numba', 'jinja2', 'vl_convert'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_decision_knows_no_synthetic_world() -> None:
    """Nothing that decides names a campaign, scaffold or archetype of the world generator."""
    from detector.lab.worlds.world import ARCHETYPES, CAMPAIGNS

    names = {n for n in (*ARCHETYPES, *CAMPAIGNS) if "_" in n}
    for path in modules():
        if dotted(path).startswith(("features", "detector.decide", "detector.pipeline")):
            text = path.read_text()
            assert not [n for n in names if n in text], dotted(path)


#: Lines a file and a function may have. Those that have more stand below, with the most they may have and why.
FILE, FUNCTION = 320, 70
LONG_FILES = {
    "detector.link.cooccurrence": (490, "one algorithm, to be one with the communities of suspects"),
    "detector.ingest.casting": (490, "one rule a type, side by side"),
    "detector.ingest.messages": (440, "every shape of a conversation in one place, by structure"),
    "detector.link.similarity": (375, "one algorithm, to be one with the communities of suspects"),
    "detector.lab.benchmark.backtest": (380, "one benchmark in order"),
    "detector.ingest.ingestion": (355, "one call and its parameters"),
    "detector.cli.attribute": (350, "five commands and their options"),
    "detector.config": (345, "a list: every setting with its reason"),
    "detector.ingest.carriers": (340, "one carrier after the other"),
    "detector.ingest.semconv": (335, "a list: names of semantic conventions"),
    "detector.ingest.processing": (335, "the steps of a block, here and in another process"),
    "detector.lab.training.text_model": (335, "one fit in order"),
}
LONG_FUNCTIONS = {
    "detector.ingest.ingestion.ingest": (115, "parameters and their documentation"),
    "detector.cli.lab.simulate": (75, "options of a command"),
    "detector.cli.attribute.evaluate": (95, "options of a command"),
    "detector.cli.attribute.train": (85, "options of a command"),
    "detector.cli.backtest.backtest": (92, "options of a command"),
    "detector.attribution.lineage.comparing.run_comparison": (85, "a comparison in order"),
    "detector.attribution.lineage.lineage.compare": (75, "parameters and their documentation"),
    "detector.alert.lifecycle.reconcile": (75, "parameters and their documentation"),
    "detector.lab.training.text_model._elicitation": (75, "one fit in order"),
}


def test_a_file_can_be_held_in_ones_head() -> None:
    length = {dotted(p): len(p.read_text().splitlines()) for p in modules()}
    assert {n: k for n, k in length.items() if k > LONG_FILES.get(n, (FILE, ""))[0]} == {}
    assert [n for n in LONG_FILES if length.get(n, 0) <= FILE] == [], "no longer long: take them off the list"


def test_a_function_fits_a_screen() -> None:
    length = {
        f"{dotted(p)}.{f.name}": (f.end_lineno or 0) - f.lineno + 1
        for p in modules()
        for f in ast.walk(ast.parse(p.read_text()))
        if isinstance(f, ast.FunctionDef)
    }
    assert {n: k for n, k in length.items() if k > LONG_FUNCTIONS.get(n, (FUNCTION, ""))[0]} == {}
    assert [n for n in LONG_FUNCTIONS if length.get(n, 0) <= FUNCTION] == []
    assert length["detector.pipeline.day.run_day"] <= 50


def test_the_product_never_imports_the_lab() -> None:
    """Training and the benchmark import the product; of the product only their commands import them."""
    guilty = [
        dotted(p)
        for p in modules()
        if not dotted(p).startswith(("detector.lab", "detector.cli"))
        and any(i.startswith("detector.lab") for i in imports(p))
    ]
    assert guilty == []
