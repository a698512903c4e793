"""Measures text for ingest: prompts in, numbers, sketches and keyed hashes out. The text is not kept.

It works on a few thousand rows at a time, so that the arrays of one step are still in the processor's cache for the
next. Every figure of a row depends only on that row and the key, never on other rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.request import content, elicitation
from features.request.keyed import U64, Prf, check_key, derive, keyed_hash
from features.request.language import languages, named
from features.request.probes import logit_probe
from features.request.sealing import join_keys, seal
from features.request.sketch import Sketcher, bands, binary
from features.request.spans import grams, pieces
from features.request.template import Skeletons
from features.request.tokens import I64, tokenise
from features.schema import CAPABILITIES, CONTENT_KEY_KINDS, ELICITATION_KINDS

__all__ = ["COLUMNS", "TextMeter", "keyed_hash", "logit_probe"]

#: Columns of ``TextMeter.measure``, in order.
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "prompt_chars": pl.Int32,
    "prompt_words": pl.Int32,
    "prompt_lines": pl.Int32,
    "system_chars": pl.Int32,
    "prompt_hash": pl.UInt64,
    "system_hash": pl.UInt64,
    "template_id": pl.UInt64,
    "prompt_sketch": pl.Binary,
    "system_sketch": pl.Binary,
    "content_keys": pl.List(pl.UInt64),
    "elicitation_score": pl.Float64,
    **{f"elicit_{kind}": pl.Float64 for kind in ELICITATION_KINDS},
    "capability": pl.String,
    "language": pl.String,
}

#: Most text worked on at once (bytes), and most rows.
PART_BYTES, PART_ROWS = 1 << 20, 4096
_CODE = {name: code for code, name in CONTENT_KEY_KINDS.items()}
_KIND_BITS = np.uint64(15)
_KINDS = len(ELICITATION_KINDS)


@dataclass(frozen=True)
class _Part:
    """Measurements of a run of texts: arrays with one row for each text, 0 or NaN where nothing was measured."""

    words: I64
    lines: I64
    hashes: U64
    templates: U64
    sketches: npt.NDArray[np.uint32]
    keys: U64
    logits: npt.NDArray[np.float32]
    languages: I64


class TextMeter:
    """Measures prompts under one key.

    Parameters
    ----------
    key : at least 16 bytes; every stored hash depends on it. ValueError when it is shorter.
    """

    def __init__(self, key: bytes) -> None:
        check_key(key)
        _keep_freed_memory()
        self._prf = Prf(key, "content")
        self._template_prf = Prf(key, "template")
        self._sketcher = Sketcher(key)
        self._salt = derive(key, "sampling", 1)[0]
        self._column_salt = derive(key, "columns", 16)
        self._model = elicitation.shipped()
        self._last: list[tuple[U64, Skeletons]] = []

    def measure(self, prompt: pl.Series, system_prompt: pl.Series) -> pl.DataFrame:
        """One row with ``COLUMNS`` for each request; NULL text gives NULLs.

        ``prompt`` and ``system_prompt`` are String series of one length. A text without tokens (blank, punctuation only)
        has lengths but no hashes, sketch, keys or scores. Elicitation and capability are NULL below three tokens. An
        elicitation score is the larger one of the prompt and the system prompt, as a scaffold may be in either. The
        capability is that of both together.
        """
        if len(prompt) != len(system_prompt):
            raise ValueError(f"{len(prompt)} prompts but {len(system_prompt)} system prompts")
        self._last = []
        user = self._texts(prompt.cast(pl.String), remember=True)
        distinct, place = _distinct(system_prompt.cast(pl.String))
        system = self._texts(distinct, remember=False)
        columns = [
            prompt.str.len_chars().cast(pl.Int32).alias("prompt_chars"),
            _nullable(user.words, prompt.is_not_null()).cast(pl.Int32).alias("prompt_words"),
            _nullable(user.lines, prompt.is_not_null()).cast(pl.Int32).alias("prompt_lines"),
            system_prompt.str.len_chars().cast(pl.Int32).alias("system_chars"),
            _nullable_hash(user.hashes).alias("prompt_hash"),
            _nullable_hash(system.hashes).gather(place).alias("system_hash"),
            _nullable_hash(user.templates).alias("template_id"),
            binary(user.sketches, user.words > 0).alias("prompt_sketch"),
            binary(system.sketches, system.words > 0).gather(place).alias("system_sketch"),
            self._content_keys(user, system, place).alias("content_keys"),
            *self._scores(user, system, place),
            named(user.languages).alias("language"),
        ]
        return pl.DataFrame(columns).select(list(COLUMNS))

    def show(self, templates: Iterable[int]) -> pl.DataFrame:
        """Skeletons of templates of the texts measured last: ``template_id``, ``skeleton``.

        Callers ask only for templates that were met a second time: the skeleton of a single text says nothing. A
        skeleton has at most 400 characters, with only stock words of ``rules/lexicons`` in clear.
        """
        wanted = np.unique(np.fromiter(templates, dtype=np.uint64))
        shown: dict[int, str] = {}
        for ids, skeletons in self._last:
            rows = np.flatnonzero(np.isin(ids, wanted))
            for row in rows:
                template = int(ids[row])
                if template not in shown:
                    shown[template] = skeletons.show(int(row))
        return pl.DataFrame(
            {"template_id": list(shown), "skeleton": list(shown.values())},
            schema={"template_id": pl.UInt64, "skeleton": pl.String},
        )

    def _texts(self, texts: pl.Series, *, remember: bool) -> _Part:
        """Measure texts, a part at a time; NULL counts as blank."""
        parts = [self._part(texts[low:high].fill_null(""), remember=remember) for low, high in _cuts(texts)]
        return _Part(
            words=np.concatenate([part.words for part in parts]),
            lines=np.concatenate([part.lines for part in parts]),
            hashes=np.concatenate([part.hashes for part in parts]),
            templates=np.concatenate([part.templates for part in parts]),
            sketches=np.concatenate([part.sketches for part in parts]),
            keys=np.concatenate([part.keys for part in parts]),
            logits=np.concatenate([part.logits for part in parts]),
            languages=np.concatenate([part.languages for part in parts]),
        )

    def _part(self, texts: pl.Series, *, remember: bool) -> _Part:
        tokens = tokenise(texts)
        runs = grams(tokens)
        cut = pieces(tokens)
        sketches = self._sketcher.sketch(tokens, runs)
        skeleton = Skeletons(tokens, runs, cut)
        raw = content.raw_keys(tokens, runs, cut, bands(sketches), skeleton.raw_id, self._salt)
        keys = self._seal(raw)
        templates = skeleton.raw_id
        filled = templates != 0
        templates[filled] = self._template_prf(templates[filled])
        if remember:
            self._last.append((templates, skeleton))
        return _Part(
            words=tokens.counts,
            lines=cut.lines,
            hashes=keys[:, 0],
            templates=templates,
            sketches=sketches,
            keys=keys,
            logits=self._model.logits(tokens, runs),
            languages=languages(tokens),
        )

    def _seal(self, raw: U64) -> U64:
        """Keyed hashes of raw keys, with their kind in the low four bits; 0 stays 0."""
        keys = np.empty_like(raw)
        seal(raw, self._column_salt[content.KINDS], content.KINDS, self._prf.start, keys)
        return keys

    def _content_keys(self, user: _Part, system: _Part, place: pl.Series) -> pl.Series:
        """All keys of a request: those of the prompt, and the whole and the bands of the system prompt."""
        import pyarrow as pa

        banded = np.flatnonzero(_CODE["band"] == content.KINDS)
        system_keys = np.concatenate((system.keys[:, :1], system.keys[:, banded]), axis=1)
        kinds = np.array([_CODE["system"]] + [_CODE["system_band"]] * len(banded), dtype=np.uint64)
        # A text as prompt and the same text as system prompt must have different keys, so these are hashed again.
        filled = system_keys != 0
        system_keys[filled] = self._prf(system_keys[filled])
        system_keys = np.ascontiguousarray(
            np.where(filled, (system_keys & ~_KIND_BITS) | kinds, 0), dtype=np.uint64
        )
        keys = np.empty(len(user.keys) * (user.keys.shape[1] + system_keys.shape[1]), dtype=np.uint64)
        bounds = np.empty(len(user.keys) + 1, dtype=np.int64)
        join_keys(user.keys, system_keys, place.fill_null(-1).to_numpy(writable=True), bounds, keys)
        array = pa.LargeListArray.from_arrays(pa.array(bounds), pa.array(keys[: bounds[-1]]))
        lists = pl.Series(array, dtype=pl.List(pl.UInt64))
        empty = np.diff(bounds) == 0
        if not empty.any():
            return lists
        frame = pl.DataFrame({"keys": lists, "empty": empty})
        return frame.select(pl.when(~pl.col("empty")).then("keys")).to_series()

    def _scores(self, user: _Part, system: _Part, place: pl.Series) -> list[pl.Series]:
        logits = user.logits
        if len(system.logits):
            none = np.full((1, logits.shape[1]), np.nan, dtype=np.float32)
            system_logits = np.concatenate((system.logits, none))[
                place.fill_null(len(system.logits)).to_numpy()
            ]
            kinds = np.fmax(logits[:, :_KINDS], system_logits[:, :_KINDS])
            both = np.where(
                np.isnan(system_logits),
                logits,
                np.where(np.isnan(logits), system_logits, logits + system_logits),
            )
            classes = both[:, _KINDS:]
        else:
            kinds, classes = logits[:, :_KINDS], logits[:, _KINDS:]
        chance = elicitation.chances(kinds)
        measured = ~np.isnan(chance[:, 0])
        names = ("elicitation_score", *(f"elicit_{kind}" for kind in ELICITATION_KINDS))
        values = (chance.max(axis=1), *chance.T) if len(chance) else (chance[:, 0], *chance.T)
        scores = [pl.Series(n, np.ascontiguousarray(v)) for n, v in zip(names, values, strict=True)]
        best = pl.Series("best", np.where(np.isnan(classes), -np.inf, classes).argmax(axis=1))
        if not measured.all():
            frame = pl.DataFrame([*scores, best, pl.Series("measured", measured)])
            masked = frame.select(pl.when("measured").then(name).alias(name) for name in (*names, "best"))
            *scores, best = masked.get_columns()
        return [*scores, pl.Series(CAPABILITIES).gather(best).alias("capability")]


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory, so that it need not ask the system for the arrays of each part.

    Its thresholds follow the largest block that was freed (at most 32 MiB). This block is never written to, so it takes
    no memory. With other libraries nothing happens.
    """
    np.empty(31 << 20, dtype=np.uint8)


def _cuts(texts: pl.Series) -> list[tuple[int, int]]:
    """Bounds of parts with a limited number of bytes and rows; a single text is never cut."""
    if not len(texts):
        return [(0, 0)]
    size = np.cumsum(texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64) + 1)
    cuts, low = [], 0
    while low < len(texts):
        base = int(size[low - 1]) if low else 0
        high = int(np.searchsorted(size, base + PART_BYTES, side="right"))
        high = min(max(high, low + 1), low + PART_ROWS, len(texts))
        cuts.append((low, high))
        low = high
    return cuts


def _distinct(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The distinct texts, and for each row the position of its text among them (NULL for NULL)."""
    distinct = texts.drop_nulls().unique(maintain_order=True)
    if not len(distinct):
        return distinct, pl.Series([None] * len(texts), dtype=pl.Int64)
    index = pl.Series(range(len(distinct)), dtype=pl.Int64)
    return distinct, texts.replace_strict(distinct, index, default=None, return_dtype=pl.Int64)


def _nullable_hash(hashes: U64) -> pl.Series:
    """Hashes as a column, 0 as NULL."""
    column = pl.Series(hashes)
    return column.set(column == 0, None) if (hashes == 0).any() else column


def _nullable(values: I64, valid: pl.Series) -> pl.Series:
    column = pl.Series(values)
    return column if valid.all() else column.set(~valid, None)
