"""Summaries of a track over ever longer bins: what a browser draws of a wide view."""

import zlib
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dnamamba.tracks.index import BLOCK

__all__ = ["RECORDS", "Level", "summaries"]

RECORDS = 512  # summaries in a block

_WHOLE = ("contig", "start", "end", "count")
_REAL = ("low", "high", "sum", "squares")
_RECORD = np.dtype([*((name, "<u4") for name in _WHOLE), *((name, "<f4") for name in _REAL)])
_EXACT = np.dtype([*((name, "<i8") for name in _WHOLE), *((name, "<f8") for name in _REAL)])


def summaries(
    contig: int, start: NDArray[np.int64], end: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[Any]:
    """Each interval as a summary of itself."""
    records = np.zeros(len(start), _EXACT)
    size = end - start
    columns = contig, start, end, size, values, values, values * size, values**2 * size
    for name, column in zip((*_WHOLE, *_REAL), columns, strict=True):
        records[name] = column
    return records


class Level:
    """Summaries of bins of ``size`` bases, written to a temporary file as they are complete.

    Args:
        size: of a bin, in bases.
        lengths: of the contigs, by number.
        folder: where the temporary file lies.
    """

    def __init__(self, size: int, lengths: NDArray[np.int64], folder: Path) -> None:
        self.size, self._lengths = size, lengths
        self._open = self._waiting = np.zeros(
            0, _EXACT
        )  # the bin that is not complete; to be written
        self._file: IO[bytes] = TemporaryFile(dir=folder)  # noqa: SIM115 (closed by ``close``)
        self._blocks = bytearray()  # of ``BLOCK``
        self.count = 0

    def add(self, records: NDArray[Any]) -> NDArray[Any]:
        """Take summaries of shorter stretches, in order, one at least; gives complete bins."""
        binned = self._binned(np.concatenate([self._open, self._cut(records)]))
        complete, self._open = binned[:-1], binned[-1:]
        self._store(complete)
        return complete

    def finish(self) -> NDArray[Any]:
        """The last bin, after which nothing comes."""
        last, self._open = self._open, self._open[:0]
        self._store(last, whole=True)
        return last

    def copy_to(self, file: IO[bytes]) -> NDArray[Any]:
        """Append all blocks to a file; gives where they lie there, (n,) of ``BLOCK``."""
        blocks = np.frombuffer(self._blocks, BLOCK).copy()
        blocks["offset"] = file.tell() + np.cumsum(blocks["size"]) - blocks["size"]
        self._file.seek(0)
        while part := self._file.read(1 << 20):
            file.write(part)
        return blocks

    def close(self) -> None:
        """Let go of the temporary file."""
        self._file.close()

    def _cut(self, records: NDArray[Any]) -> NDArray[Any]:
        """Summaries that reach over the border of a bin, in parts."""
        first, last = records["start"] // self.size, (records["end"] - 1) // self.size
        if (first == last).all():
            return records
        bins = last - first + 1
        parts = np.repeat(records, bins)
        within = np.arange(len(parts)) - np.repeat(np.cumsum(bins) - bins, bins)
        low = (np.repeat(first, bins) + within) * self.size
        start, end = np.maximum(parts["start"], low), np.minimum(parts["end"], low + self.size)
        share = (end - start) / (parts["end"] - parts["start"])
        parts["start"], parts["end"] = start, end
        parts["count"] = np.rint(parts["count"] * share)
        parts["sum"] *= share
        parts["squares"] *= share
        return parts

    def _binned(self, records: NDArray[Any]) -> NDArray[Any]:
        """One summary a bin."""
        number = records["start"] // self.size
        changed = (np.diff(number) != 0) | (np.diff(records["contig"]) != 0)
        first = np.flatnonzero(np.concatenate([[True], changed]))
        bins = records[first]
        for name, fold in (("low", np.minimum), ("high", np.maximum)):
            bins[name] = fold.reduceat(records[name], first)
        for name in ("count", "sum", "squares"):
            bins[name] = np.add.reduceat(records[name], first)
        bins["start"] = number[first] * self.size
        bins["end"] = np.minimum(bins["start"] + self.size, self._lengths[bins["contig"]])
        return bins

    def _store(self, records: NDArray[Any], whole: bool = False) -> None:
        self._waiting = np.concatenate([self._waiting, records])
        self.count += len(records)
        ready = len(self._waiting) if whole else len(self._waiting) // RECORDS * RECORDS
        for first in range(0, ready, RECORDS):
            part = self._waiting[first : min(first + RECORDS, ready)]
            data = zlib.compress(part.astype(_RECORD).tobytes(), 1)
            begin, end = part[0], part[-1]
            places = begin["contig"], begin["start"], end["contig"], end["end"]
            self._blocks += np.array([(*places, 0, len(data))], BLOCK).tobytes()
            self._file.write(data)
        self._waiting = self._waiting[ready:]
