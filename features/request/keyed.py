"""Keyed hashing at ingest: without the key, nobody can test guesses against the lake.

Every stored value passes one of three functions. Identifiers go through keyed BLAKE2b. Content keys, hashes and template
ids go through SipHash-1-3 of exactly eight bytes (``sealing``). Sketches are only keyed by a fast mixer, as they must be
compared slot by slot: a sketch resists dictionary attacks by an outsider, but not by somebody who also has known texts.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["MIN_KEY_BYTES", "U64", "Prf", "derive", "keyed_hash", "mix"]

U64 = npt.NDArray[np.uint64]

#: Shortest key (bytes): a shorter one could be found by trying all.
MIN_KEY_BYTES = 16

#: From this many values on, compiled code hashes them; it takes a while to load.
BULK = 8192

_IV = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def check_key(key: bytes) -> bytes:
    """The key itself; ValueError when it is too short."""
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes, needs at least {MIN_KEY_BYTES}")
    return bytes(key)


def derive(key: bytes, domain: str, count: int) -> U64:
    """``count`` 64-bit constants from the key; another domain gives unrelated ones."""
    stream = b"".join(
        hashlib.blake2b(block.to_bytes(8, "little"), key=_short(key), person=_person(domain)).digest()
        for block in range(-(-count // 8))
    )
    return np.frombuffer(stream, dtype="<u8")[:count].astype(np.uint64)


def keyed_hash(values: pl.Series, key: bytes, domain: str) -> pl.Series:
    """Keyed BLAKE2b (128 bit, lower-case hex) of each value; NULL stays NULL.

    Parameters
    ----------
    values : identifiers; anything not String is cast to it.
    key : at least 16 bytes.
    domain : what the values are ("ip", "session"). Equal values of two domains have different hashes.
    """
    key = _short(check_key(key))
    person = _person(domain)
    text = values.cast(pl.String)
    if text.null_count() == len(text):
        return text.alias(values.name)
    if len(text) - text.null_count() >= BULK:
        return _bulk(text, key, person).alias(values.name)
    unique = text.drop_nulls().unique()
    # To copy a hash that has its key costs a third less than to create one.
    new_hash = hashlib.blake2b(digest_size=16, key=key, person=person).copy
    hashes: list[str] = []
    for value in unique:
        one = new_hash()
        one.update(value.encode())
        hashes.append(one.hexdigest())
    hashed = pl.Series(hashes, dtype=pl.String)
    return text.replace_strict(unique, hashed, default=None, return_dtype=pl.String).rename(values.name)


def _bulk(text: pl.Series, key: bytes, person: bytes) -> pl.Series:
    """The same hashes by compiled code. Values of more than a block, and empty ones, are hashed one by one."""
    import pyarrow as pa

    from features.request import blake  # compiled: not for a few values

    array = text.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, body = array.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    low, high = int(bounds[0]), int(bounds[-1])
    joined = b"".join((memoryview(body)[low:high], bytes(8)))
    # Overlapping words: the eight bytes from every position.
    words = np.ndarray(shape=(len(joined) - 7,), dtype="<u8", buffer=joined, strides=(1,))
    start, end = bounds[:-1] - low, bounds[1:] - low
    parameters = bytes((blake.DIGEST, len(key), 1, 1)).ljust(48, b"\0") + person.ljust(16, b"\0")
    initial = blake.IV ^ np.frombuffer(parameters, dtype="<u8")
    block = np.frombuffer(key.ljust(blake.BLOCK, b"\0"), dtype="<u8")
    digits = np.zeros((len(text), 2 * blake.DIGEST), dtype=np.uint8)
    short = (end > start) & (end - start <= blake.BLOCK)
    if short.all():
        blake.digests(words, start, end, initial, block, digits)
    else:
        short_digits = np.empty((int(short.sum()), digits.shape[1]), dtype=np.uint8)
        blake.digests(words, start[short], end[short], initial, block, short_digits)
        digits[short] = short_digits
        for row in np.flatnonzero(~short & text.is_not_null().to_numpy()):
            value = joined[start[row] : end[row]]
            digest = hashlib.blake2b(value, digest_size=blake.DIGEST, key=key, person=person)
            digits[row] = np.frombuffer(digest.hexdigest().encode(), dtype=np.uint8)
    ends = np.arange(0, digits.size + 1, digits.shape[1])
    hashed = pl.Series(pa.LargeStringArray.from_buffers(len(text), pa.py_buffer(ends), pa.py_buffer(digits)))
    return hashed.set(text.is_null(), None) if text.null_count() else hashed


def mix(values: U64) -> U64:
    """Spread every input bit over the word, in place (xor-shift and multiply, as in splitmix64)."""
    values ^= values >> np.uint64(32)
    values *= np.uint64(0xD6E8FEB86659FD93)
    values ^= values >> np.uint64(29)
    return values


class Prf:
    """SipHash-1-3 of 8-byte inputs under a key of 128 bits: one array in, one array out."""

    def __init__(self, key: bytes, domain: str) -> None:
        k0, k1 = (int(k) for k in derive(key, domain, 2))
        self.start: U64 = np.array(
            [iv ^ k for iv, k in zip(_IV, (k0, k1, k0, k1), strict=True)], dtype=np.uint64
        )

    def __call__(self, values: U64) -> U64:
        """The keyed hash of every value. The input is not changed."""
        from features.request.sealing import siphash  # compiled: not for commands that read no text

        out = np.empty_like(values)
        siphash(values, self.start, out)
        return out


def _short(key: bytes) -> bytes:
    """BLAKE2b takes keys up to 64 bytes; a longer one is hashed first."""
    return key if len(key) <= 64 else hashlib.blake2b(key).digest()


def _person(domain: str) -> bytes:
    name = domain.encode()
    return name if len(name) <= 16 else hashlib.blake2b(name, digest_size=16).digest()
