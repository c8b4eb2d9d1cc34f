"""Which bases of the genomes are for training, which are held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dnamamba.data.bed import BedRows, read_bed
from dnamamba.data.permutation import mix
from dnamamba.data.regions import Contigs, Regions, difference, intersection, union, widened

__all__ = ["GenomeSplit", "Part", "divide"]

_BLOCKS = 100  # default for a split by fraction: so many blocks to a genome, where it is large


@dataclass(frozen=True)
class Part:
    """A part of the genomes, named in one of three ways; nothing set: no such part.

    Attributes:
        contigs: names of whole contigs (``genome:contig`` where several genomes share a name).
        bed: a BED file.
        fraction: of each genome's bases, 0 to below 1, taken in contiguous blocks that
            depend on the seed alone.

    Raises:
        ValueError: a fraction out of range, or more than one way.
    """

    contigs: tuple[str, ...] = ()
    bed: str | None = None
    fraction: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "contigs", tuple(self.contigs))  # YAML and JSON give lists
        if not 0 <= self.fraction < 1:
            raise ValueError(f"a split's fraction must be from 0 to below 1, got {self.fraction}")
        if bool(self.contigs) + bool(self.bed) + bool(self.fraction) > 1:
            raise ValueError(
                f"a part of the split is named by contigs, bed or fraction, not by several: {self}"
            )

    def __bool__(self) -> bool:
        return bool(self.contigs or self.bed or self.fraction)


@dataclass(frozen=True)
class GenomeSplit:
    """How the bases are divided into training, validation and test.

    Attributes:
        validation: what is held out to watch the run.
        test: what is held out for the end.
        train: contigs or a BED to train on; by default everything that is not held out.
        guard: bases left out of training on both sides of what is held out.
        block: bases in a block of a split by fraction; by default a hundredth of the genome, at
            least 16 windows, and less where a fraction is too small for one such block.

    Raises:
        ValueError: fractions that leave nothing to train on, or a value out of range.
    """

    validation: Part = Part()
    test: Part = Part()
    train: Part = Part()
    guard: int = 1000
    block: int | None = None

    def __post_init__(self) -> None:
        for name in ("validation", "test", "train"):
            value = getattr(self, name)
            if isinstance(value, dict):  # from a checkpoint's hyper-parameters
                object.__setattr__(self, name, Part(**value))
        if self.train.fraction:
            raise ValueError(
                "split.train takes contigs or a bed; fractions are set for what is held out"
            )
        if self.validation.fraction + self.test.fraction >= 1:
            raise ValueError(
                f"split.validation.fraction {self.validation.fraction} and split.test.fraction "
                f"{self.test.fraction} leave nothing to train on; their sum must be below 1"
            )
        if self.guard < 0:
            raise ValueError(f"split.guard must be 0 or more bases, got {self.guard}")
        if self.block is not None and self.block < 1:
            raise ValueError(f"split.block must be at least 1 base, got {self.block}")


class _Named(NamedTuple):
    """A part as the user named it, row by row, to be quoted in errors."""

    name: str
    part: Part
    rows: BedRows


def divide(
    usable: Regions, contigs: Contigs, split: GenomeSplit, length: int, seed: int
) -> dict[str, Regions]:
    """The regions of ``train``, ``validation`` and ``test``: disjoint, with the guard between.

    Args:
        usable: what may be used at all, sorted, free of overlaps.
        contigs: of all genomes.
        split: how to divide.
        length: L, bases in a window; blocks are whole windows.
        seed: of the blocks of a split by fraction.

    Raises:
        ValueError: an unknown contig, a bad BED, or parts that overlap; names both rows.
    """
    named = {part.name: part for part in _named(split, contigs)}
    _refuse_overlaps(list(named.values()), contigs)
    nothing = usable.take(np.empty(0, dtype=np.int64))
    parts = {
        name: intersection(union(named[name].rows.regions), usable) if name in named else nothing
        for name in ("validation", "test")
    }
    train = intersection(union(named["train"].rows.regions), usable) if "train" in named else usable
    if split.validation.fraction or split.test.fraction:
        fixed = widened(union(*parts.values()), split.guard, contigs)
        drawn = _blocks(difference(train, fixed), contigs, split, length, seed)
        parts = {name: union(parts[name], drawn[name]) for name in parts}
    held_out = widened(union(*parts.values()), split.guard, contigs)
    return {"train": difference(train, held_out), **parts}


def _named(split: GenomeSplit, contigs: Contigs) -> Iterator[_Named]:
    for name in ("train", "validation", "test"):
        part: Part = getattr(split, name)
        if part.bed:
            yield _Named(name, part, read_bed(part.bed, contigs))
        elif part.contigs:
            try:
                numbers = np.array([contigs.number(contig) for contig in part.contigs])
            except ValueError as error:
                raise ValueError(f"split.{name}.contigs: {error}") from error
            yield _Named(name, part, BedRows(contigs.whole.take(numbers), np.zeros_like(numbers)))


def _refuse_overlaps(parts: list[_Named], contigs: Contigs) -> None:
    for i, one in enumerate(parts):
        for other in parts[i + 1 :]:
            both = intersection(union(one.rows.regions), union(other.rows.regions))
            if len(both.contig):
                contig, start = int(both.contig[0]), int(both.start[0])
                raise ValueError(
                    f"split.{one.name} ({_row(one, contig, start, contigs)}) overlaps "
                    f"split.{other.name} ({_row(other, contig, start, contigs)}) in "
                    f"{both.bases:,} bases; a base must be in one part only. Take it out of one "
                    "of them; without split.train, training takes all that is not held out"
                )


def _row(named: _Named, contig: int, position: int, contigs: Contigs) -> str:
    """The first row that holds a position, as the user wrote it."""
    rows, lines = named.rows
    holds = (rows.contig == contig) & (rows.start <= position) & (position < rows.end)
    first = int(np.flatnonzero(holds)[0])
    if not named.part.bed:
        return f"contig {contigs.names[contig]}"
    return (
        f"{named.part.bed}, line {lines[first]:,}: "
        f"{contigs.names[contig]} {rows.start[first]}-{rows.end[first]}"
    )


def _blocks(
    free: Regions, contigs: Contigs, split: GenomeSplit, length: int, seed: int
) -> dict[str, Regions]:
    """Contiguous blocks of each genome for the parts that are named by fraction.

    The blocks of a genome are lined up in an order drawn by hash; a part takes those whose
    middle falls into its stretch of the line.
    """
    taken: dict[str, list[Regions]] = {"validation": [], "test": []}
    for genome in range(len(contigs.genomes)):
        own = free.take(contigs.genome[free.contig] == genome)
        blocks = _cut(own, _block_size(own.bases, split, length))
        order = np.argsort(mix(seed, blocks.contig, blocks.start), kind="stable")
        size = (blocks.end - blocks.start)[order]
        middle = np.cumsum(size) - size / 2
        low = 0.0
        for name in taken:
            high = low + getattr(split, name).fraction * own.bases
            chosen = np.sort(order[(low <= middle) & (middle < high)])
            taken[name].append(blocks.take(chosen))
            low = high
    return {name: union(*parts) for name, parts in taken.items()}


def _block_size(bases: int, split: GenomeSplit, length: int) -> int:
    if split.block is not None:
        return split.block
    smallest = min(
        fraction for fraction in (split.validation.fraction, split.test.fraction) if fraction
    )
    size = min(max(16 * length, bases // _BLOCKS), int(smallest * bases))
    return max(size // length, 1) * length


def _cut(regions: Regions, size: int) -> Regions:
    """Each region in pieces of ``size`` bases, the last one shorter."""
    count = -(-(regions.end - regions.start) // size)
    region = np.repeat(np.arange(len(count)), count)
    piece = np.arange(len(region)) - np.repeat(np.cumsum(count) - count, count)
    start = regions.start[region] + piece * size
    return Regions(regions.contig[region], start, np.minimum(start + size, regions.end[region]))
