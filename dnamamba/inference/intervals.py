"""Pieces of a genome as sequences for a model, read when they are needed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer, complement_bases
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.sources import Sources

__all__ = ["Interval", "Intervals", "Strand", "cut"]

Strand = Literal["+", "-"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Bases [start, end) of a contig, 0-based; on the minus strand they are read 5' to 3'.

    Attributes:
        genome: where it lies.
        tokenizer: how it is read.
        id: the record's name, or what the BED's name column says.
    """

    genome: Genome
    tokenizer: Tokenizer
    id: str
    contig: str
    start: int
    end: int
    strand: Strand = "+"

    def __len__(self) -> int:
        return self.end - self.start

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Token ids of the interval's bases ``start`` to before ``stop``, along its strand."""
        if start == stop:
            return np.empty(0, dtype=np.uint8)
        low, high = (
            (self.start + start, self.start + stop)
            if self.strand == "+"
            else (self.end - stop, self.end - start)
        )
        bases = self.genome.fetch(self.contig, low, high, self.strand)
        return self.tokenizer.encode(bases, contig=f"{self.genome.name} {self.contig}", start=low)

    def positions(self, start: int, stop: int) -> NDArray[np.int64]:
        """(stop - start,) 0-based places on the contig of these bases, along the strand."""
        if self.strand == "+":
            return np.arange(self.start + start, self.start + stop)
        return np.arange(self.end - 1 - start, self.end - 1 - stop, -1)


@dataclass(frozen=True, eq=False)
class Intervals(Sources):
    """Many intervals of one genome, column by column; one of them is an ``Interval``.

    Attributes:
        genome: where they lie.
        tokenizer: how they are read.
        names: ids of the records or regions that they are, or are windows of.
        owner: (n,) int64, each one's place in ``names``.
        contig: (n,) int64, its contig's number in the genome.
        start: (n,) int64, 0-based.
        end: (n,) int64, exclusive.
        minus: (n,) bool, whether it is read on the minus strand.
    """

    genome: Genome
    tokenizer: Tokenizer
    names: Sequence[str]
    owner: NDArray[np.int64]
    contig: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    minus: NDArray[np.bool_]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:  # type: ignore[override]
        return self.end - self.start

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(index)
        id, contig = self.names[self.owner[index]], self.genome.contig_names[self.contig[index]]
        place = id, contig, int(self.start[index]), int(self.end[index])
        return Interval(self.genome, self.tokenizer, *place, "-" if self.minus[index] else "+")

    def __iter__(self) -> Iterator[Interval]:
        for place in zip(*map(self.column, _COLUMNS), strict=True):
            yield Interval(self.genome, self.tokenizer, *place)

    def take(self, numbers: Sequence[int] | NDArray[Any] | slice) -> "Intervals":
        if not isinstance(numbers, slice):
            numbers = np.asarray(numbers, dtype=np.int64)
        columns: dict[str, Any] = {name: getattr(self, name)[numbers] for name in _ARRAYS}
        return replace(self, **columns)

    def column(self, name: str) -> list[Any]:
        """An attribute of ``Interval`` (id, contig, start, end or strand), of each."""
        if name == "id":
            return [self.names[i] for i in self.owner.tolist()]
        if name == "contig":
            return [self.genome.contig_names[i] for i in self.contig.tolist()]
        if name == "strand":
            return ["-" if minus else "+" for minus in self.minus.tolist()]
        values: list[Any] = getattr(self, name).tolist()
        return values

    def cut(self, window: int | None) -> "Intervals":
        """Windows side by side, as of ``cut``: the last of each is as short as what is left."""
        _check_window(window)
        if window is None:
            return self
        count = -(-self.lengths // window)
        whole = self.take(np.repeat(np.arange(len(self)), count))
        place = np.arange(len(whole)) - np.repeat(np.cumsum(count) - count, count)
        start = whole.start + place * window
        return replace(whole, start=start, end=np.minimum(start + window, whole.end))

    def write(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64], out: NDArray[np.uint8]
    ) -> None:
        size, minus = np.maximum(stops - starts, 0), self.minus[: len(starts)]
        low = np.where(minus, self.end[: len(starts)] - stops, self.start[: len(starts)] + starts)
        rows = np.argsort(minus, kind="stable")  # those of the plus strand, then of the minus
        low = np.where(size > 0, low, 0)[rows]
        bases = self.genome.read_joined(self.contig[rows], low, size[rows])
        ends = np.cumsum(size[rows])
        turned = int(size[~minus].sum())
        if turned < len(bases):
            opposite = complement_bases(bases[turned:].tobytes())
            bases[turned:] = np.frombuffer(opposite, dtype=np.uint8)
        ids = np.empty_like(bases)
        try:
            self.tokenizer.encode_into(bases, ids, self.genome.letters)
        except ValueError:
            for piece, start, stop in zip(self, starts.tolist(), stops.tolist(), strict=False):
                piece.ids(start, max(start, stop))  # the one that is refused names its place
            raise
        columns = rows, ends - size[rows], ends, minus[rows]
        for row, first, last, turn in zip(*(column.tolist() for column in columns), strict=True):
            out[row, : last - first] = ids[first:last][::-1] if turn else ids[first:last]


_COLUMNS = ("id", "contig", "start", "end", "strand")
_ARRAYS = ("owner", "contig", "start", "end", "minus")


def cut(pieces: Iterable[Interval], window: int | None) -> Iterator[tuple[int, Interval]]:
    """Windows side by side, the last of an interval as short as what is left.

    Yields:
        The number of the interval among ``pieces``, and the window; with ``window=None`` each
        interval as it is.

    Raises:
        ValueError: ``window`` is not positive.
    """
    _check_window(window)
    for number, piece in enumerate(pieces):
        step = window or len(piece)
        for start in range(piece.start, piece.end, step):
            yield number, replace(piece, start=start, end=min(start + step, piece.end))


def _check_window(window: int | None) -> None:
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 or null, got {window}")
