"""Which bases of the genomes are for training, which are held out."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dnamamba.data.samples.permutation import mix
from dnamamba.data.windows.bed import BedRows, read_bed
from dnamamba.data.windows.regions import Contigs, Regions, difference, intersection, union, widened
from dnamamba.data.windows.settings import GenomeSplit, Part

__all__ = ["divide"]

_BLOCKS = 100  # default for a split by fraction: so many blocks to a genome, where it is large


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
