"""Regions of a genome labelled with what a bigWig says of them: a number each, for regression."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnamamba.arguments import path_text, whole
from dnamamba.data.genome.bigwig import BigWigReader
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.examples import Example
from dnamamba.data.windows.bed import BedRow, bed_rows
from dnamamba.data.windows.regions import Contigs

__all__ = ["Signal", "SignalRegions"]


@dataclass(frozen=True)
class Signal:
    """What the regions of a BED are labelled with: the mean of a track over their bases.

    Attributes:
        genome: the FASTA that the regions and the track are of, or the name of a reference.
        track: a bigWig.
        uncovered: bases without a value count as 0 (``zero``), or not at all (``leave_out``): a
            region of such bases alone then has no label, see ``labels.missing``.
        scale: the mean as it is (``linear``), or log(1 + mean) (``log1p``), of counts say.
        block: bases; regions that begin in one such stretch of a contig, or overlap, are relatives
            and come into one part when examples are divided.

    Raises:
        ValueError: a value out of range.
    """

    genome: str
    track: str
    uncovered: Literal["zero", "leave_out"] = "zero"
    scale: Literal["linear", "log1p"] = "linear"
    block: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("genome", "track"):
            path_text(f"signal.{name}", getattr(self, name))
        if self.uncovered not in ("zero", "leave_out"):
            raise ValueError(
                f"signal.uncovered must be 'zero' or 'leave_out', got {self.uncovered!r}"
            )
        if self.scale not in ("linear", "log1p"):
            raise ValueError(f"signal.scale must be 'linear' or 'log1p', got {self.scale!r}")
        whole("signal.block", self.block, 1)


class SignalRegions:
    """Reads BED files as examples.

    Args:
        signal: what the label is.
        skip: leave regions without a label out.
        genome: the signal's, where it is open; None: it is opened.

    Raises:
        ValueError: a bad genome or track, or two assemblies (see ``BigWigReader``).
        ModuleNotFoundError: pybigtools is missing; names the extra.
    """

    def __init__(self, signal: Signal, skip: bool, genome: Genome | None = None) -> None:
        self._signal, self._skip = signal, skip
        self._genome = genome or Genome(signal.genome)
        self._contigs = Contigs.of({self._genome.name: self._genome.contigs})
        # Before any region is read.
        BigWigReader(signal.track, self._genome).close()

    def examples(self, path: Path, labelled: bool) -> Iterator[Example | None]:
        """The regions of a BED, in its order; None for one that is left out.

        The minus strand's bases are those of a region whose sixth column says so.

        Raises:
            ValueError: a bad row, or a region without a label; names file and line.
        """
        rows = list(bed_rows(path, self._contigs))
        groups = _relatives(rows, self._signal.block)
        with BigWigReader(self._signal.track, self._genome) as track:
            for row, group in zip(rows, groups, strict=True):
                yield self._example(path, row, group, track if labelled else None)

    def _example(
        self, path: Path, row: BedRow, group: str, track: BigWigReader | None
    ) -> Example | None:
        where = f"{path}, line {row.line}"
        if row.strand not in ("+", "-", ".", ""):
            raise ValueError(f"{where}: strand must be + or - or ., got {row.strand!r}")
        contig, strand = self._contigs.names[row.contig], "-" if row.strand == "-" else "+"
        label = ""
        if track is not None:
            value = self._mean(track.values(contig, row.start, row.end), where)
            if value is None:
                return None
            label = repr(value)
        bases = self._genome.fetch(contig, row.start, row.end, strand)  # type: ignore[arg-type]
        id = f"{contig}:{row.start}-{row.end}({strand})"
        return Example(where, id, bases, label, f"{contig}:{group}")

    def _mean(self, values: NDArray[np.float64], where: str) -> float | None:
        known = values[~np.isnan(values)]
        size = len(values) if self._signal.uncovered == "zero" else len(known)
        if not size:
            if self._skip:
                return None
            raise ValueError(
                f"{where}: {self._signal.track} has no value in the region; remove it, set "
                "labels.missing=skip to leave such regions out, or signal.uncovered=zero"
            )
        mean = float(known.sum() / size)
        if self._signal.scale == "linear":
            return mean
        if mean < 0:
            raise ValueError(
                f"{where}: the mean of {self._signal.track} is {mean:.4g}, and signal.scale=log1p "
                "is for values of 0 and more; set it to linear"
            )
        return float(np.log1p(mean))


def _relatives(rows: list[BedRow], block: int) -> list[str]:
    """Of each region the first block of its relatives."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i].contig, rows[i].start))
    groups = [""] * len(rows)
    contig = reach = number = last = -1
    for i in order:
        row = rows[i]
        if row.contig != contig:
            contig, reach, last = row.contig, 0, -1
        # A region may overlap one of the block before: what begins beside it is its relative, too.
        if row.start >= reach and row.start // block != last:
            number = row.start // block
        last, reach = row.start // block, max(reach, row.end)
        groups[i] = str(number * block)
    return groups
