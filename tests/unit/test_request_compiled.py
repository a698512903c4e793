"""Compiled loops: they agree with the plain reference, compile once, and survive a cache that cannot be used."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numba.core.errors import TypingError

from features.request import blake, hashing, keyed, lexing, sealing
from features.request.compiled import Kernel
from features.request.keyed import keyed_hash
from features.request.measure import COLUMNS, TextMeter
from features.request.tokens import tokenise

KEY = b"sixteen bytes or more"
KERNELS = [
    (module.__name__, name, kernel)
    for module in (hashing, lexing, sealing, blake)
    for name, kernel in vars(module).items()
    if isinstance(kernel, Kernel)
]
HOSTILE = [
    "", " ", "\n", "\n\n\n", ".", "`", "```", "```\n```", ":", "a:", "12", "1.2.3", "\0", "a\0b", "\x7f", "é",
    "漢", "漢字", "a漢b", "“q”", "答：", "。", "😀", "👩‍👩‍👧", "\u202eabc", "\ufeff", "e\u0301", "İ", "x" * 9, "x" * 25,
    "a b", "a b c", "a b c d", "Q: a\nQ: b", "# h\n[x] y\n<z>", '"' * 50, "a\r\nb", "\ud7ff\ue000",
]  # fmt: skip


def measured(prompts: list[str | None], systems: list[str | None]) -> pl.DataFrame:
    series = (pl.Series(p, dtype=pl.String) for p in (prompts, systems))
    return TextMeter(KEY).measure(*series)


def test_one_machine_code_serves_every_batch() -> None:
    """Another one for each layout of an array would be compiled while a log is read."""
    texts: list[str | None] = [*HOSTILE, None]
    measured(texts, texts[::-1])
    for text in ("plain words of one text", "漢字", ""):
        measured([text], [None])
    measured([], [])
    keyed_hash(pl.Series(range(keyed.BULK + 1)), KEY, "ip")
    keyed_hash(pl.Series([f"{n}" * 50 for n in range(keyed.BULK + 1)]), KEY, "ip")
    assert len(KERNELS) >= 13
    for module, name, kernel in KERNELS:
        assert len(kernel.compiled.signatures) == 1, f"{module}.{name}"


def test_a_row_never_depends_on_its_neighbours() -> None:
    """A text that ends with a figure once took the next text's first figure for a part of its own."""
    prompts: list[str | None] = [*HOSTILE, "of 12", "7 of", "7", "8", "9.5", "3-4 and", *HOSTILE]
    whole = measured(prompts, prompts[::-1])
    single = [measured([p], [s]) for p, s in zip(prompts, prompts[::-1], strict=True)]
    assert whole.equals(pl.concat(single))
    assert tokenise(pl.Series(["7", "8"])).counts.tolist() == [1, 1]


def test_nothing_is_read_or_written_out_of_bounds(tmp_path: Path) -> None:
    """The same texts with every index checked, in a process of its own, as the check is compiled in."""
    code = (
        "import random, polars as pl\n"
        "from features.request.measure import TextMeter\n"
        "from tests.unit.test_request_compiled import HOSTILE, KEY\n"
        "rng = random.Random(3)\n"
        "texts = HOSTILE + [rng.choice(['', ' ', chr(10)]).join(rng.choices(HOSTILE, k=rng.randrange(30)))"
        " for _ in range(400)] + ['word. ' * 9000, chr(10) * 9000, '`' * 9000, '漢' * 9000]\n"
        "s = pl.Series(texts)\n"
        "print(TextMeter(KEY).measure(s, s.reverse()).height)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(len(HOSTILE) + 404)


def test_many_identifiers_hash_as_hashlib_does() -> None:
    rng = random.Random(2)
    values: list[str | None] = [f"10.{n % 256}.{n}" for n in range(keyed.BULK)]
    values += ["", None, *("x" * n for n in range(300)), *("é" * n for n in range(80))]
    rng.shuffle(values)
    for key in (KEY, b"k" * 64, b"longer than a block of the hash may be" * 3):
        bulk = keyed_hash(pl.Series("id", values), key, "session")
        few = [
            keyed_hash(pl.Series("id", values[at : at + 900]), key, "session") for at in range(0, 9999, 900)
        ]
        assert bulk.equals(pl.concat([part for part in few if len(part)]))
        assert bulk.name == "id"
    plain = hashlib.blake2b(b"10.1.1", digest_size=16, key=KEY, person=b"ip").hexdigest()
    assert keyed_hash(pl.Series(["10.1.1"] * keyed.BULK), KEY, "ip").unique().to_list() == [plain]


def _measure_elsewhere(
    environment: dict[str, str], home: Path, package: Path
) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r})\n"
        "import numpy as np\n"
        "import features.request.compiled as c\n"
        f"assert c.__file__.startswith({str(package)!r})\n"
        "from features.request.sealing import siphash\n"
        "out = np.empty(1, np.uint64)\n"
        "siphash(np.ones(1, np.uint64), np.arange(4, dtype=np.uint64), out)\n"
        "print(out[0])\n"
    )
    return subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", code],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the compiled package, so that no cache of the tree is used or harmed."""
    source = Path(hashing.__file__).parent
    target = tmp_path / "site" / "features" / "request"
    target.mkdir(parents=True)
    for folder in (target.parent, target):
        (folder / "__init__.py").touch()
    for name in ("compiled.py", "sealing.py"):
        (target / name).write_text((source / name).read_text())
    return tmp_path / "site"


@pytest.mark.parametrize("trouble", ["none", "a file where the folder should be", "damaged", "full"])
def test_machine_code_needs_no_folder(tmp_path: Path, package: Path, trouble: str) -> None:
    """Neither folder usable, a damaged cache, or one that cannot be written any more: slower, never wrong."""
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    environment = {"NUMBA_CACHE_DIR": str(cache)}
    first = _measure_elsewhere(environment, home, package)
    assert first.returncode == 0, first.stderr
    kept = list(cache.rglob("*.nb?"))
    assert kept, "machine code was not kept"
    if trouble == "a file where the folder should be":
        # No right to write would not stop a test that runs as root; this does.
        for file in kept:
            file.unlink()
        [folder] = cache.iterdir()
        folder.rmdir()
        folder.write_text("")
        pycache = package / "features" / "request" / "__pycache__"
        pycache.write_text("")
        (home / ".cache").write_text("")
        environment = {}
    elif trouble == "damaged":
        for file in kept:
            file.write_bytes(file.read_bytes()[:40])
    elif trouble == "full":
        for file in kept:
            file.unlink()
            file.mkdir()  # cannot be opened as a file, nor replaced by one
            (file / "in the way").touch(mode=stat.S_IRUSR)
    again = _measure_elsewhere(environment, home, package)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout


def test_an_error_of_a_ready_kernel_is_told() -> None:
    out = np.empty(1, dtype=np.uint64)
    sealing.siphash(np.ones(1, np.uint64), np.arange(4, dtype=np.uint64), out)
    with pytest.raises(TypingError, match="unicode_type"):
        sealing.siphash("no array", np.arange(4, dtype=np.uint64), out)  # type: ignore[arg-type]


def test_columns_are_measured_for_no_rows() -> None:
    assert measured([], []).columns == list(COLUMNS)
