"""From regions to numbered windows, without a list of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.windows.regions import Regions

__all__ = ["Places", "Short", "Tail", "Tiling", "tile"]

Ints = NDArray[np.int64]
Short = Literal["pad", "drop"]
Tail = Literal["shift", "pad", "drop"]

_CHUNK = 1 << 20  # windows looked at together


class Places(NamedTuple):
    """Where windows lie.

    Attributes:
        contig: (n,) int64, numbers of contigs in ``Contigs``.
        start: (n,) int64, 0-based.
        length: (n,) int64, bases; below L where the window is padded.
    """

    contig: Ints
    start: Ints
    length: Ints


@dataclass(frozen=True)
class Tiling:
    """Windows of length L, numbered from 0 through all runs, in the order of the genome.

    A run is a row of windows one stride apart. Its window k starts at ``first + k * stride``;
    one that would pass ``end`` is moved back to end there (``shift``) or cut short. Memory grows
    with the runs, not with the windows.

    Attributes:
        contig: (R,) int64, of each run.
        first: (R,) int64, the start of its first window.
        end: (R,) int64, where its region ends.
        count: (R,) int64, its windows.
        length: L.
        stride: bases from one window's start to the next one's.
        shift: whether a last window that does not fit is moved back rather than cut.
    """

    contig: Ints
    first: Ints
    end: Ints
    count: Ints
    length: int
    stride: int
    shift: bool

    def __len__(self) -> int:
        return int(self.count.sum())

    @property
    def has_short(self) -> bool:
        """Whether some window is shorter than L and will be padded."""
        last_of_each_run = self.places(self._until - 1)
        return bool((last_of_each_run.length < self.length).any())

    @property
    def padding(self) -> float:
        """The share of the windows' positions that hold no base; of no windows, 0."""
        short = self.length - self.places(self._until - 1).length  # of each run the last alone
        return float(short.sum()) / max(len(self) * self.length, 1)

    def places(self, number: Ints) -> Places:
        """Where the windows of these numbers (n,) lie."""
        run = np.searchsorted(self._until, number, side="right")
        first, end = self.first[run], self.end[run]
        start = first + (number - (self._until[run] - self.count[run])) * self.stride
        if self.shift:
            start = np.maximum(np.minimum(start, end - self.length), first)
        return Places(self.contig[run], start, np.minimum(end - start, self.length))

    def keep(self, wanted: Callable[[Places], NDArray[np.bool_]]) -> "Tiling":
        """Without the windows that ``wanted`` refuses: the rest in shorter runs, renumbered."""
        starts = range(0, len(self), _CHUNK)
        parts = [self._kept(start, min(start + _CHUNK, len(self)), wanted) for start in starts]
        if sum(len(part) for part in parts) == len(self):
            return self
        none = np.empty(0, dtype=np.int64)
        return replace(
            self,
            contig=np.concatenate([none, *(part.contig for part in parts)]),
            first=np.concatenate([none, *(part.first for part in parts)]),
            end=np.concatenate([none, *(part.end for part in parts)]),
            count=np.concatenate([none, *(part.count for part in parts)]),
        )

    def _kept(
        self, start: int, stop: int, wanted: Callable[[Places], NDArray[np.bool_]]
    ) -> "Tiling":
        """The same among the windows start .. stop - 1."""
        numbers = np.arange(start, stop)
        places = self.places(numbers)
        keep = wanted(places)
        run = np.where(keep, np.searchsorted(self._until, numbers, side="right"), -1)
        edges = np.flatnonzero(np.diff(run, prepend=-1, append=-1))
        # Between two edges lies one run, or windows that were refused.
        kept = keep[edges[:-1]]
        low, high = edges[:-1][kept], edges[1:][kept]
        return replace(
            self,
            contig=places.contig[low],
            first=places.start[low],
            end=self.end[run[low]],
            count=high - low,
        )

    @cached_property
    def _until(self) -> Ints:
        return np.cumsum(self.count)


def tile(regions: Regions, length: int, stride: int, tail: Tail, short: Short) -> Tiling:
    """Lay windows over regions, from the start of each.

    Args:
        regions: sorted, free of overlaps.
        length: L, bases in a window.
        stride: bases from one window's start to the next one's.
        tail: what to do where a region's end leaves a piece that no window covers: ``shift`` adds
            a window that ends flush with the region (and overlaps the one before), ``pad`` adds
            a short one, ``drop`` leaves the piece out.
        short: what to do with a region shorter than L: one short window (``pad``), or none.
    """
    size = regions.end - regions.start
    fitting = (size - length) // stride + 1
    covered = (fitting - 1) * stride + length
    if tail == "drop":
        count = fitting
    elif tail == "shift":
        count = fitting + (covered < size)
    else:  # as many as it takes to reach the end, each with a base of its own to start at
        count = np.minimum(1 - (length - size) // stride, 1 + (size - 1) // stride)
    count = np.where(size >= length, count, int(short == "pad"))
    some = count > 0
    kept = regions.take(some)
    return Tiling(
        kept.contig, kept.start, kept.end, count[some], length, stride, shift=tail == "shift"
    )
