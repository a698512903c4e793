"""Keyed hashing at the door: nobody without the key can test guesses against what the lake holds.

Everything stored passes one of three functions. Identifiers go through keyed BLAKE2b. Content keys,
hashes and template ids go through SipHash-1-3 (Aumasson, Bernstein 2012), written over numpy arrays for
inputs of exactly eight bytes. Sketches are keyed by a fast mixer only, as they must be compared slot by
slot: a sketch resists dictionary attacks by an outsider, not by somebody who also holds known texts.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["MIN_KEY_BYTES", "U64", "Prf", "derive", "keyed_hash", "mix"]

U64 = npt.NDArray[np.uint64]

#: A shorter key could be searched.
MIN_KEY_BYTES = 16

_IV = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def check_key(key: bytes) -> bytes:
    """The key itself; ValueError when it is too short to protect anything."""
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
    domain : what the values are ("ip", "session"): equal values of other domains hash differently.
    """
    key = _short(check_key(key))
    person = _person(domain)
    text = values.cast(pl.String)
    unique = text.drop_nulls().unique()
    # A copy of a hash that was given its key costs a third less than a new one.
    begun = hashlib.blake2b(digest_size=16, key=key, person=person).copy
    hashes: list[str] = []
    for value in unique:
        one = begun()
        one.update(value.encode())
        hashes.append(one.hexdigest())
    hashed = pl.Series(hashes, dtype=pl.String)
    return text.replace_strict(unique, hashed, default=None, return_dtype=pl.String).rename(values.name)


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
        """The keyed hash of every value; the input stays as it was."""
        from features.request.hashing import siphash  # compiled: not for commands that read no text

        out = np.empty_like(values)
        siphash(values, self.start, out)
        return out


def _short(key: bytes) -> bytes:
    """BLAKE2b takes keys up to 64 bytes; a longer one is hashed first."""
    return key if len(key) <= 64 else hashlib.blake2b(key).digest()


def _person(domain: str) -> bytes:
    name = domain.encode()
    return name if len(name) <= 16 else hashlib.blake2b(name, digest_size=16).digest()
