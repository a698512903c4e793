"""First bytes of kinds of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detector.ingest.unpack import Packing


@dataclass(frozen=True)
class Refusal:
    """Why a file is not read. ``passed``: it is no log. ``unreadable``: somebody should look at it."""

    status: Literal["passed", "unreadable"]
    reason: str


PACKINGS: tuple[tuple[bytes, Packing], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    *(
        (bytes([0x50 + n]) + b"\x2a\x4d\x18", "zst") for n in range(16)
    ),  # a frame to be skipped, pzstd's first
    *((b"BZh%d" % level + block, "bz2") for level in range(1, 10) for block in (b"1AY", b"\x17\x72\x45")),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
)


def _unpack(what: str, how: str) -> Refusal:
    return Refusal("unreadable", f"{what}: {how}")


_CONVERT = "which is not read: write it as Parquet or JSON lines"
#: Kinds that are recognised under any name.
FOREIGN: tuple[tuple[bytes, Refusal], ...] = (
    (b"PK\x03\x04", _unpack("a zip archive", "unpack it (unzip FILE -d FOLDER) and give the folder")),
    (b"PK\x05\x06", _unpack("a zip archive", "unpack it (unzip FILE -d FOLDER) and give the folder")),
    (b"7z\xbc\xaf\x27\x1c", _unpack("a 7z archive", "unpack it and give the folder")),
    (b"Rar!\x1a\x07", _unpack("a rar archive", "unpack it and give the folder")),
    (b"\x1f\x9d", _unpack("packed by compress (.Z), which is not read", "unpack it first (uncompress FILE)")),
    (b"LZIP\x01", _unpack("packed by lzip, which is not read", "unpack it first (lzip -d FILE)")),
    (b"\x89LZO", _unpack("packed by lzop, which is not read", "unpack it first (lzop -d FILE)")),
    (b"\x5d\0\0", _unpack("packed as .lzma, which is not read", "unpack it first (unlzma FILE)")),
    (b"\x02\x21\x4c\x18", _unpack("lz4 of the old kind, which is not read", "unpack it first (lz4 -d FILE)")),
    (b"\xff\x06\0\0sNaPpY", _unpack("packed by snappy, which is not read", "unpack it first")),
    (b"Obj\x01", Refusal("unreadable", f"Avro, {_CONVERT}")),
    (b"ARROW1", Refusal("unreadable", f"Arrow IPC, {_CONVERT}")),
    (b"FEA1", Refusal("unreadable", f"Feather, {_CONVERT}")),
    (b"PARE", Refusal("unreadable", "an encrypted Parquet file: write it without encryption")),
    (b"-----BEGIN PGP MESSAGE", Refusal("unreadable", "encrypted: decrypt it first (gpg -d FILE)")),
    (b"age-encryption.org/", Refusal("unreadable", "encrypted: decrypt it first (age -d FILE)")),
    (b"SQLite format 3\0", Refusal("passed", "a database, no log")),
    (b"\x89PNG", Refusal("passed", "a picture, no log")),
    (b"\xff\xd8\xff", Refusal("passed", "a picture, no log")),
    (b"GIF8", Refusal("passed", "a picture, no log")),
    (b"%PDF-", Refusal("passed", "a PDF, no log")),
    (b"\x7fELF", Refusal("passed", "a program, no log")),
)
#: Kinds that are recognised only in data that is no text.
BINARY: tuple[tuple[bytes, Refusal], ...] = (
    (b"ORC", Refusal("unreadable", f"ORC, {_CONVERT}")),
    (b"MZ", Refusal("passed", "a program, no log")),
    (b"\xca\xfe\xba\xbe", Refusal("passed", "a program, no log")),
    (b"\0asm", Refusal("passed", "a program, no log")),
    (b"RIFF", Refusal("passed", "sound or video, no log")),
    (b"\x89HDF", Refusal("passed", "scientific data, no log")),
)
