"""The cache file: a genome's bare bases and all that is known of them.

It holds, one after the other,

1. the bases of all contigs laid end to end, one byte each, case and IUPAC codes kept (nothing,
   when there was no room: the FASTA is then read through the index below);
2. runs of ambiguous bases (not A, C, G, T or U): pairs of little-endian int64;
3. the index without names: rows of four little-endian int64;
4. JSON: the source's identity and hash, the names, the letters that occur;
5. the length of the JSON as little-endian int64, and eight bytes of magic.

A file that does not add up to its own size is taken for absent and built again.
"""

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.genome.source import Identity, identify

__all__ = ["Contents", "append_contents", "read_contents"]

_MAGIC = b"DNAMAMB1"
_TAIL = struct.Struct("<q8s")
_UNREAD = Identity(0, 0, 0)


@dataclass(frozen=True)
class Contents:
    """What a cache file says of a genome.

    Attributes:
        source: the FASTA's identity when it was read.
        source_hash: BLAKE2b of the FASTA file as it lies on the disk.
        bases_hash: BLAKE2b of the bare bases.
        room_wanted: bytes free on the cache's disk from which to try again to keep the bases
            too; 0 when it has them.
        names: the records' names, in the file's order, without empty records.
        layout: (n, 4) int64, the numbers of each record's ``Record``: length, offset,
            line_bases, line_bytes.
        skipped: names of the empty records.
        counts: how often each of the 256 bytes occurs.
        noted: letter -> contig -> 0-based position of its first occurrence there, for the
            letters that a tokenizer's policy may refuse: U and the IUPAC codes.
        n_runs: number of runs of ambiguous bases.
        file: the cache file's identity.
    """

    source: Identity
    source_hash: str
    bases_hash: str
    room_wanted: int
    names: list[str]
    layout: NDArray[np.int64]
    skipped: list[str]
    counts: list[int]
    noted: dict[str, dict[str, int]]
    n_runs: int
    file: Identity = _UNREAD

    @property
    def has_bases(self) -> bool:
        """False when there was no room for them."""
        return self.room_wanted == 0

    @property
    def total(self) -> int:
        """Number of bases in all contigs."""
        return int(self.layout[:, 0].sum())

    def runs(self, path: Path) -> NDArray[np.int64]:
        """(n_runs, 2) half-open runs of ambiguous bases, as offsets into all contigs end to end.

        Raises:
            ValueError: the cache file is not the one that was read.
        """
        with open(path, "rb") as file:
            if identify(file.fileno()) != self.file:
                raise ValueError(f"{path} changed while in use; open the genome again")
            skip = self.total if self.has_bases else 0
            return np.fromfile(file, "<i8", 2 * self.n_runs, offset=skip).reshape(-1, 2)


def append_contents(file: BinaryIO, contents: Contents, runs: NDArray[np.int64]) -> None:
    """Finish a cache file whose bases are written: all the rest, synced to the disk."""
    fields = {k: v for k, v in vars(contents).items() if k not in ("layout", "file")}
    text = json.dumps(fields).encode()
    file.write(runs.astype("<i8").tobytes())
    file.write(contents.layout.astype("<i8").tobytes())
    file.write(text)
    file.write(_TAIL.pack(len(text), _MAGIC))
    file.flush()
    os.fsync(file.fileno())


def read_contents(path: Path) -> Contents | None:
    """What a cache file says, or None when it is missing, cut short, or not one of ours."""
    try:
        with open(path, "rb") as file:
            return _read(file)
    except (FileNotFoundError, NotADirectoryError, struct.error, ValueError, TypeError, KeyError):
        return None


def _read(file: BinaryIO) -> Contents | None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL.size))
    length, magic = _TAIL.unpack(file.read())
    start = size - _TAIL.size - length
    if magic != _MAGIC or length <= 0 or start < 0:
        return None
    file.seek(start)
    fields = json.loads(file.read(length))
    rows = len(fields["names"])
    file.seek(start - 32 * rows)
    layout = np.frombuffer(file.read(32 * rows), "<i8").reshape(rows, 4)
    fields["source"] = Identity(*fields["source"])
    contents = Contents(**fields, layout=layout, file=identify(file.fileno()))
    bases = contents.total if contents.has_bases else 0
    whole = bases + 16 * contents.n_runs + 32 * rows == start
    return contents if whole else None
