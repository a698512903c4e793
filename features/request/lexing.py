"""Finds sentences and skeleton parts in texts, counts votes and lists buckets, as kernels.

Each kernel walks once over the tokens or marks of a batch, text by text. ``spans``, ``template``, ``language`` and
``elicitation`` say what the arrays mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.request.compiled import Kernel

__all__ = ["best_windows", "count_votes", "cut_pieces", "list_runs", "select_parts"]

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

# Byte classes; all below WORD separate tokens.
SPACE, NEWLINE, OTHER, STOP, COLON, QUOTE, HARD_STOP, HARD_COLON, WORD, SINGLE = range(10)

#: A sentence of up to ``WHOLE`` tokens is kept whole; of a longer one the first ``OPENING`` are kept.
WHOLE, OPENING = 12, 6
#: Longest label (tokens).
LABEL = 8
#: Fewest tokens of a further sentence that is kept.
SENTENCE = 4
#: Least share of stock words of an instruction, for further sentences and for an opening (0..1).
INSTRUCTION, OPENING_INSTRUCTION = 0.75, 0.4

#: Most columns of weights; so many are summed at once.
COLUMNS = 16

_HASH, _LESS, _BRACKET, _TICK = ord("#"), ord("<"), ord("["), ord("`")


@Kernel
def cut_pieces(
    kinds: U8, marks: I64, starts: I64, row_bytes: I64,
    start: I64, end: I64, first: I64, line_end: Bools, label: I64, labelled: Bools, quote: I64,
    rows: I64, lines: I64,
) -> int:  # fmt: skip
    """Cut each text at its marks into pieces (see ``spans.Pieces``) and count its lines that are not blank.

    The arrays of pieces are as long as ``marks`` and are filled from the front. Returns the number of pieces.
    """
    n, token, text = 0, 0, 0
    piece_token, piece_byte, line_token, line_byte = 0, row_bytes[0], 0, row_bytes[0]
    label_at, quote_at = -1, -1
    rows[0] = 0
    lines[:] = 0
    for mark in marks:
        kind = kinds[mark]
        while token < len(starts) and starts[token] < mark:
            token += 1
        if kind == QUOTE:
            if quote_at < 0:
                quote_at = token
            continue
        spaced = kinds[mark + 1] <= NEWLINE
        if kind == HARD_COLON or (kind == COLON and spaced):
            if label_at < 0:
                label_at = token
            continue
        if kind != NEWLINE and kind != HARD_STOP and not (kind == STOP and spaced):
            continue
        start[n], end[n], first[n], line_end[n] = piece_token, token, piece_byte, kind == NEWLINE
        label[n], labelled[n] = label_at if label_at >= 0 else token, label_at >= 0
        quote[n] = quote_at if quote_at >= 0 else token
        n += 1
        piece_token, piece_byte, label_at, quote_at = token, mark + 1, -1, -1
        if kind != NEWLINE:
            continue
        filled = token > line_token
        while line_byte < mark and not filled:
            filled = kinds[line_byte] > NEWLINE
            line_byte += 1
        lines[text] += filled
        line_token, line_byte = token, mark + 1
        if mark + 1 == row_bytes[text + 1]:
            text += 1
            rows[text] = n
    return n


@Kernel
def select_parts(
    fold: U8, hashes: U64, stock: Bools, shift: np.uint64, row_bytes: I64, quotes: I64,
    start: I64, end: I64, first: I64, label: I64, labelled: Bools, quote: I64, rows: I64,
    part_start: I64, part_end: I64, slot: Bools, row_parts: I64,
) -> None:  # fmt: skip
    """The parts of each text that its skeleton keeps (see ``template``), and whether a slot follows them.

    The arrays of parts are as long as those of pieces and are filled from the front. ``row_parts`` bounds the parts of
    each text.
    """
    n, tick = 0, 0
    for row in range(len(rows) - 1):
        row_parts[row] = n
        n_fences, opened, in_body, weak = 0, False, True, False
        while tick < len(quotes) and quotes[tick] < row_bytes[row]:
            tick += 1
        for piece in range(rows[row], rows[row + 1]):
            low, high, at = start[piece], end[piece], first[piece]
            if high <= low:
                continue
            head, ends = fold[at], label[piece]
            heading = head in (_HASH, _LESS, _BRACKET) and high - low <= LABEL
            named = labelled[piece] and 0 < ends - low <= LABEL
            cut = high
            if named and not heading:
                cut = ends
            elif high - low > WHOLE:
                cut = low + OPENING
            cut = min(cut, max(quote[piece], low))
            n_stock = 0
            for token in range(low, cut):
                n_stock += stock[hashes[token] >> shift]
            share = n_stock / max(cut - low, 1)
            while tick < len(quotes) and quotes[tick] < at:
                mark = quotes[tick]
                tick += 1
                n_fences += (
                    fold[mark] == _TICK
                    and fold[mark + 1] == _TICK
                    and fold[mark + 2] == _TICK
                    and fold[mark - 1] != _TICK
                )
            is_label = (named or heading) and (share >= 0.5 or cut - low <= 3) and n_fences % 2 == 0
            in_body = in_body and not is_label
            opening = not opened and in_body
            further = in_body and share >= INSTRUCTION and cut - low >= SENTENCE
            if is_label or opening or further:
                # An opening that reads like content is dropped when the skeleton has other parts.
                if opened and weak:
                    n, weak = row_parts[row], False
                weak = weak or (not opened and not is_label and share < OPENING_INSTRUCTION)
                if cut > low:
                    part_start[n], part_end[n], slot[n] = low, cut, cut < high or is_label
                    n += 1
            opened = True
    row_parts[len(rows) - 1] = n


@Kernel
def count_votes(
    fold: U8, starts: I64, hashes: U64, row_tokens: I64, words: U8, shift: np.uint64, scripts: U8, head: int,
    votes: I64, odd: Bools,
) -> None:  # fmt: skip
    """Votes of the first ``head`` tokens of each text, and whether some token starts beyond ASCII.

    A token votes by its script, or else as a common word.
    """
    votes[:] = 0
    for row in range(len(row_tokens) - 1):
        odd[row] = False
        for token in range(row_tokens[row], row_tokens[row + 1]):
            byte = fold[starts[token]]
            odd[row] |= byte >= 0x80
            if token < row_tokens[row] + head:
                vote = scripts[byte] if scripts[byte] > 0 else words[hashes[token] >> shift]
                if vote > 0:
                    votes[row, vote] += 1


@Kernel
def list_runs(
    token: U64, pair: U64, triple: U64, row_tokens: I64,
    head: int, tail: int, shift: np.uint64, none: np.uint64, out: I32,
) -> None:  # fmt: skip
    """Buckets of the runs of one to three tokens, three for each token; only head and tail of a long text.

    ``none`` stands for a run that leaves its text.
    """
    n = 0
    for row in range(len(row_tokens) - 1):
        start, end = row_tokens[row], row_tokens[row + 1]
        for at in range(start, end):
            if start + head <= at < end - tail:
                continue
            out[n, 0] = token[at] >> shift
            out[n, 1] = pair[at] >> shift if at + 1 < end else none
            out[n, 2] = triple[at] >> shift if at + 2 < end else none
            n += 1


@Kernel
def best_windows(index: I32, bounds: I32, windows: I64, weights: F32, out: F32) -> None:
    """For each text and column of ``weights`` (``COLUMNS`` wide), the highest sum over a window of its runs.

    Sums are divided by the root of the number of runs. ``bounds`` cuts ``index`` into windows, in steps of three;
    ``windows`` has the first window of each text.
    """
    sums = np.empty(COLUMNS, dtype=np.float32)
    for row in range(len(windows)):
        last = windows[row + 1] if row + 1 < len(windows) else len(bounds) - 1
        for window in range(windows[row], last):
            for column in range(COLUMNS):
                sums[column] = 0
            for at in range(bounds[window], bounds[window + 1], 3):
                one, two, three = np.uint64(index[at]), np.uint64(index[at + 1]), np.uint64(index[at + 2])
                for column in range(COLUMNS):
                    # The order is fixed, since the sum of rounded numbers depends on it.
                    sums[column] = (
                        sums[column] + weights[one, column] + weights[two, column] + weights[three, column]
                    )
            root = np.float32(np.sqrt(np.float64(max(bounds[window + 1] - bounds[window], 1))))
            for column in range(COLUMNS):
                value = sums[column] / root
                first = window == windows[row]
                out[row, column] = value if first else max(out[row, column], value)
