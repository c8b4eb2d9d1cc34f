"""The cache file: a genome's bare bases and all that is known of them.

It holds, one after the other,

1. the bases of all contigs laid end to end, one byte each, case and IUPAC codes kept (nothing,
   when there was no room: the FASTA is then read through the index below);
2. runs of ambiguous bases (not A, C, G, T or U): pairs of little-endian int64;
3. the index without names: rows of four little-endian int64;
4. JSON: the source's identity and hash, the names, the letters that occur;
5. BLAKE2b (16 bytes) of 3 and 4, the length of 4 as little-endian int64, eight bytes of magic.

A file that does not add up to its own size, whose index or JSON is not what was written, or that
somebody else may have put there, is taken for absent and built again. Of the bases, the file's
seal answers for that (see ``seal``).
"""

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.genome.source import Identity, identify
from dnamamba.data.genome.trust import is_trusted

__all__ = ["Contents", "append_contents", "digest_of", "read_contents"]

_MAGIC = b"DNAMAMB2"
_TAIL = struct.Struct("<16sq8s")
_UNREAD = Identity(0, 0, 0, 0)


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
            line_bases, line_bytes (0 where only the bases are read, not the FASTA).
        skipped: names of the empty records.
        counts: how often each of the 256 bytes occurs.
        noted: letter -> contig -> 0-based position of its first occurrence there, for the
            letters that a tokenizer's policy may refuse: U and the IUPAC codes.
        n_runs: number of runs of ambiguous bases.
        runs_hash: BLAKE2b of the runs.
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
    runs_hash: str
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
            ValueError: the cache file is not the one that was read, or is damaged.
        """
        with open(path, "rb") as file:
            if identify(file.fileno()) != self.file:
                raise ValueError(f"{path} changed while in use; open the genome again")
            skip = self.total if self.has_bases else 0
            runs = np.fromfile(file, "<i8", 2 * self.n_runs, offset=skip)
        if digest_of(runs).hex() != self.runs_hash:
            raise ValueError(f"the cache {path} is damaged; delete it")
        return runs.reshape(-1, 2)


def digest_of(*parts: bytes | NDArray[np.int64]) -> bytes:
    """BLAKE2b of a part of a cache file, 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part)
    return digest.digest()


def append_contents(file: BinaryIO, contents: Contents, runs: NDArray[np.int64]) -> None:
    """Finish a cache file whose bases are written: all the rest, synced to the disk."""
    fields = {k: v for k, v in vars(contents).items() if k not in ("layout", "file")}
    text = json.dumps(fields).encode()
    layout = contents.layout.astype("<i8").tobytes()
    for part in (runs.astype("<i8").tobytes(), layout, text):
        file.write(part)
    file.write(_TAIL.pack(digest_of(layout, text), len(text), _MAGIC))
    file.flush()
    os.fsync(file.fileno())


def read_contents(path: Path) -> Contents | None:
    """What a cache file says, or None: it is missing, damaged, or may be somebody's forgery."""
    try:
        with open(path, "rb") as file:
            return _read(file) if is_trusted(file.fileno(), path.parent) else None
    except (OSError, struct.error, ValueError, TypeError, KeyError):
        return None


def _read(file: BinaryIO) -> Contents | None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL.size))
    digest, length, magic = _TAIL.unpack(file.read())
    start = size - _TAIL.size - length
    if magic != _MAGIC or length <= 0 or start < 0:
        return None
    file.seek(start)
    text = file.read(length)
    fields = json.loads(text)
    rows = len(fields["names"])
    file.seek(start - 32 * rows)
    index = file.read(32 * rows)
    if digest_of(index, text) != digest:
        return None
    layout = np.frombuffer(index, "<i8").reshape(rows, 4)
    fields["source"] = Identity(*fields["source"])
    contents = Contents(**fields, layout=layout, file=identify(file.fileno()))
    bases = contents.total if contents.has_bases else 0
    whole = bases + 16 * contents.n_runs + 32 * rows == start
    return contents if whole else None
