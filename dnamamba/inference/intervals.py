"""Pieces of a genome as sequences for a model, read when they are needed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome

__all__ = ["Interval", "Strand", "cut"]

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


def cut(pieces: Iterable[Interval], window: int | None) -> Iterator[tuple[int, Interval]]:
    """Windows side by side, the last of an interval as short as what is left.

    Yields:
        The number of the interval among ``pieces``, and the window; with ``window=None`` each
        interval as it is.

    Raises:
        ValueError: ``window`` is not positive.
    """
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 or null, got {window}")
    for number, piece in enumerate(pieces):
        step = window or len(piece)
        for start in range(piece.start, piece.end, step):
            yield number, replace(piece, start=start, end=min(start + step, piece.end))
