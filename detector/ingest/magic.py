"""First bytes of kinds of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detector.ingest.unpack import Packing


@dataclass(frozen=True)
class Told:
    """Why a file is not read. ``passed``: it is no log; ``unreadable``: somebody should see to it."""

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


def _unpack(what: str, how: str) -> Told:
    return Told("unreadable", f"{what}: {how}")


_CONVERT = "which is not read: write it as Parquet or JSON lines"
#: Told whatever the name says.
FOREIGN: tuple[tuple[bytes, Told], ...] = (
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
    (b"Obj\x01", Told("unreadable", f"Avro, {_CONVERT}")),
    (b"ARROW1", Told("unreadable", f"Arrow IPC, {_CONVERT}")),
    (b"FEA1", Told("unreadable", f"Feather, {_CONVERT}")),
    (b"PARE", Told("unreadable", "an encrypted Parquet file: write it without encryption")),
    (b"-----BEGIN PGP MESSAGE", Told("unreadable", "encrypted: decrypt it first (gpg -d FILE)")),
    (b"age-encryption.org/", Told("unreadable", "encrypted: decrypt it first (age -d FILE)")),
    (b"SQLite format 3\0", Told("passed", "a database, no log")),
    (b"\x89PNG", Told("passed", "a picture, no log")),
    (b"\xff\xd8\xff", Told("passed", "a picture, no log")),
    (b"GIF8", Told("passed", "a picture, no log")),
    (b"%PDF-", Told("passed", "a PDF, no log")),
    (b"\x7fELF", Told("passed", "a program, no log")),
)
#: Told only of what is no text.
BINARY: tuple[tuple[bytes, Told], ...] = (
    (b"ORC", Told("unreadable", f"ORC, {_CONVERT}")),
    (b"MZ", Told("passed", "a program, no log")),
    (b"\xca\xfe\xba\xbe", Told("passed", "a program, no log")),
    (b"\0asm", Told("passed", "a program, no log")),
    (b"RIFF", Told("passed", "sound or video, no log")),
    (b"\x89HDF", Told("passed", "scientific data, no log")),
)
