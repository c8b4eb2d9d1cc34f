"""bigWig (Kent et al. 2010, doi:10.1093/bioinformatics/btq351), written as values come.

The libraries that write it take one interval at a time from Python and pass over a full disk, or
have to be compiled; so it is written here. Memory holds a few blocks, and 32 bytes for each 1,024
values.
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dnamamba.tracks.index import BLOCK, write_contigs, write_index
from dnamamba.tracks.zoom import RECORDS, Level, summaries

__all__ = ["BigWig"]

_MAGIC = 0x888FFC26
_HEADER = struct.Struct("<IHHQQQHHQQIQ")
_SECTION = struct.Struct("<IIIIIBxH")
_ZOOM = struct.Struct("<IIQQ")
_SUMMARY = struct.Struct("<Qdddd")
_ITEMS = 1024  # values in a block
_LARGEST = max(24 + 12 * _ITEMS, 32 * RECORDS)  # bytes of a block, before compression
_LEVELS, _FIRST, _STEP = 8, 64, 4  # zoom levels: how many, how many values in a bin, how much wider
_BED_GRAPH, _VARIABLE, _FIXED = 1, 2, 3
_MOST = 2**32 - 1

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class BigWig:
    """A bigWig that is being written.

    Args:
        file: empty, can be sought in.
        contigs: name -> length, in the order in which values come.

    Raises:
        ValueError: a contig is longer than the format counts.
    """

    def __init__(self, file: IO[bytes], contigs: Mapping[str, int]) -> None:
        if long := next((name for name, n in contigs.items() if n > _MOST), None):
            raise ValueError(f"contig {long!r} has more than 2**32 bases; name a .bedgraph.gz")
        self._file, self._contigs = file, dict(contigs)
        self._numbers = {name: number for number, name in enumerate(contigs)}
        self._levels: list[Level] = []
        self._blocks = bytearray()  # of ``BLOCK``
        self._covered, self._low, self._high = 0, np.inf, -np.inf
        self._sum = self._squares = 0.0
        head = _HEADER.size + _LEVELS * _ZOOM.size
        self._summary = head
        file.write(bytes(head + _SUMMARY.size))
        self._tree = file.tell()
        write_contigs(file, self._contigs)
        self._data = file.tell()
        file.write(bytes(8))

    def write(self, contig: str, start: Ints, end: Ints, values: Floats) -> None:
        """Append intervals [start, end) of one contig, behind all that were written of it."""
        number = self._numbers[contig]
        for first in range(0, len(start), _ITEMS):
            part = slice(first, first + _ITEMS)
            data = zlib.compress(_section(number, start[part], end[part], values[part]), 1)
            place = number, start[part][0], number, end[part][-1], self._file.tell(), len(data)
            self._blocks += np.array([place], BLOCK).tobytes()
            self._file.write(data)
        records = summaries(number, start, end, values)
        self._add_up(records)
        if not self._levels:
            self._levels = self._planned(int(np.median(end - start)))
        self._zoom(records)

    def close(self, whole: bool) -> None:
        """Let go of the file; if all values are written, complete it first."""
        try:
            if whole:
                self._complete()
        finally:
            for level in self._levels:
                level.close()

    def _planned(self, span: int) -> list[Level]:
        """The zoom levels of intervals that are mostly so long."""
        lengths = np.array(list(self._contigs.values()))
        sizes = [_FIRST * span * _STEP**depth for depth in range(_LEVELS)]
        folder = Path(self._file.name).parent
        return [Level(size, lengths, folder) for size in sizes if size < lengths.max()]

    def _zoom(self, records: NDArray[Any], depth: int = 0) -> None:
        """Each level takes what is complete of the one before it."""
        for level in self._levels[depth:]:
            if not len(records):
                return
            records = level.add(records)

    def _add_up(self, records: NDArray[Any]) -> None:
        self._covered += int(records["count"].sum())
        self._low = min(self._low, float(records["low"].min()))
        self._high = max(self._high, float(records["high"].max()))
        self._sum += float(records["sum"].sum())
        self._squares += float(records["squares"].sum())

    def _complete(self) -> None:
        file, blocks = self._file, np.frombuffer(self._blocks, BLOCK)
        index = file.tell()
        write_index(file, blocks, _ITEMS)
        for depth, level in enumerate(self._levels, 1):
            self._zoom(level.finish(), depth)
        zooms = []
        for level in self._levels:
            begin = file.tell()
            file.write(struct.pack("<I", level.count))
            places = level.copy_to(file)
            zooms.append(_ZOOM.pack(level.size, 0, begin, file.tell()))
            write_index(file, places, RECORDS)
        file.write(struct.pack("<I", _MAGIC))
        file.seek(0)
        parts = self._tree, self._data, index, 0, 0, 0, self._summary, _LARGEST, 0
        file.write(_HEADER.pack(_MAGIC, 4, len(zooms), *parts) + b"".join(zooms))
        file.seek(self._summary)
        low, high = (self._low, self._high) if self._covered else (0.0, 0.0)
        file.write(_SUMMARY.pack(self._covered, low, high, self._sum, self._squares))
        file.seek(self._data)
        file.write(struct.pack("<Q", len(blocks)))


def _section(number: int, start: Ints, end: Ints, values: Floats) -> bytes:
    """A block of values, as short as their places allow."""
    spans, steps = end - start, np.diff(start)
    span, step = int(spans[0]), int(steps[0]) if len(steps) else int(spans[0])
    data = values.astype("<f4")
    if (spans != span).any():
        kind, step, span = _BED_GRAPH, 0, 0
        columns = start.astype("<u4"), end.astype("<u4"), data.view("<u4")
        items = np.stack(columns, 1).tobytes()
    elif (steps != step).any():
        kind, step = _VARIABLE, 0
        items = np.stack([start.astype("<u4"), data.view("<u4")], 1).tobytes()
    else:
        kind, items = _FIXED, data.tobytes()
    head = number, int(start[0]), int(end[-1]), step, span, kind, len(start)
    return _SECTION.pack(*head) + items
