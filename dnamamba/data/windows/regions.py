"""Intervals on the contigs of one or several genomes, and their arithmetic.

Coordinates are 0-based and half-open, as in BED. Everything is a few sorted arrays: a million
intervals are combined in a fraction of a second.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.genome.names import nearest_name
from dnamamba.data.genome.synonyms import Synonyms, spoken

__all__ = ["Contigs", "Regions", "covers", "difference", "intersection", "union", "widened"]

Ints = NDArray[np.int64]

# Contigs are laid out on one line, this far apart: intervals of two contigs can never touch.
_SPAN = 1 << 40


class Regions(NamedTuple):
    """Intervals; those that the functions below return are sorted and do not overlap.

    Attributes:
        contig: (R,) int64, numbers of contigs in ``Contigs``.
        start: (R,) int64, 0-based.
        end: (R,) int64, exclusive.
    """

    contig: Ints
    start: Ints
    end: Ints

    @property
    def bases(self) -> int:
        """Sum of the lengths."""
        return int((self.end - self.start).sum())

    def take(self, which: Ints | NDArray[np.bool_]) -> "Regions":
        """Some of them, by number or by mask."""
        return Regions(self.contig[which], self.start[which], self.end[which])


@dataclass(frozen=True)
class Contigs:
    """The contigs of all genomes, one after the other; a contig's number is its place here.

    Attributes:
        genomes: names of the genomes.
        names: names of the contigs.
        genome: (C,) int64, which genome a contig belongs to.
        within: (C,) int64, its number in that genome.
        length: (C,) int64, in bases.
    """

    genomes: tuple[str, ...]
    names: tuple[str, ...]
    genome: Ints
    within: Ints
    length: Ints

    @classmethod
    def of(cls, genomes: Mapping[str, Mapping[str, int]]) -> "Contigs":
        """From contig -> length of each genome."""
        sizes = [len(contigs) for contigs in genomes.values()]
        return cls(
            tuple(genomes),
            tuple(name for contigs in genomes.values() for name in contigs),
            np.repeat(np.arange(len(sizes)), sizes),
            np.concatenate([np.arange(size) for size in sizes]),
            np.array([n for contigs in genomes.values() for n in contigs.values()], np.int64),
        )

    @property
    def whole(self) -> Regions:
        """Every contig from end to end."""
        return Regions(np.arange(len(self.names)), np.zeros_like(self.length), self.length)

    def named(self, contig: int, start: int, length: int, reverse: bool) -> str:
        """A window as ``genome contig:start-end(strand)``, 0-based and half-open."""
        place = f"{self.genomes[self.genome[contig]]} {self.names[contig]}:{start}-{start + length}"
        return f"{place}({'-' if reverse else '+'})"

    def number(self, name: str) -> int:
        """A contig's number, by ``contig`` or ``genome:contig``.

        A name that no genome has may be another one for a contig (see ``Synonyms``): a warning
        says so, the first time.

        Raises:
            ValueError: no such contig (suggests the nearest name), or several genomes have one.
        """
        numbers = self._numbers.get(name)
        if numbers is None:
            numbers = self._renamed.get(name) or self._rename(name)
        if len(numbers) == 1:
            return numbers[0]
        several = [f"{self.genomes[self.genome[i]]}:{self.names[i]}" for i in numbers]
        raise ValueError(f"several genomes have a contig {name!r}; write {' or '.join(several)}")

    def _rename(self, name: str) -> list[int]:
        """Numbers of the contigs that go by another name in their genomes."""
        numbers, remarks, doubts, refusals = [], [], [], []
        for genome, synonyms in self._synonyms.items():
            bare = name.removeprefix(f"{genome}:")
            contigs, remark = synonyms.meant(bare)
            numbers += [self._numbers[f"{genome}:{contig}"][0] for contig in contigs]
            if len(contigs) == 1:
                remarks.append(remark)
            elif contigs:
                doubts.append(synonyms.refusal(bare))
            elif remark:
                refusals.append(remark)
        if doubts or not numbers:
            several = len(self.genomes) > 1  # whose contigs are written genome:contig
            known: Collection[str] = self._numbers if several else self.names
            why = [*doubts, *refusals, nearest_name(name, known)][0]
            raise ValueError(f"no genome has a contig {name!r}; {why}")
        if len(numbers) == 1:
            if not self._renamed:
                genome = self.genomes[self.genome[numbers[0]]]
                known = self.names[numbers[0]]
                warnings.warn(spoken(genome, name, known, remarks[0]), stacklevel=3)
            self._renamed[name] = numbers
        return numbers

    @cached_property
    def _renamed(self) -> dict[str, list[int]]:
        """Names of other spellings, as they come, and the contig of each."""
        return {}

    @cached_property
    def _synonyms(self) -> dict[str, Synonyms]:
        lengths: dict[str, dict[str, int]] = {genome: {} for genome in self.genomes}
        for name, genome, length in zip(self.names, self.genome, self.length, strict=True):
            lengths[self.genomes[genome]][name] = int(length)
        return {genome: Synonyms(contigs) for genome, contigs in lengths.items()}

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = {}
        for i, (name, genome) in enumerate(zip(self.names, self.genome, strict=True)):
            numbers.setdefault(name, []).append(i)
            numbers.setdefault(f"{self.genomes[genome]}:{name}", []).append(i)
        return numbers


def union(*parts: Regions) -> Regions:
    """Sorted, with overlapping intervals joined. Those that merely touch stay apart."""
    start = np.concatenate([_line(part)[0] for part in parts])
    end = np.concatenate([_line(part)[1] for part in parts])
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    if not len(start):
        return _regions(start, end)
    reach = np.maximum.accumulate(end)
    first = np.concatenate([[True], start[1:] >= reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    return _regions(start[first], reach[last])


def intersection(these: Regions, others: Regions) -> Regions:
    """What lies in both. Each must be sorted and free of overlaps."""
    return _common(_line(these), _line(others))


def difference(these: Regions, others: Regions) -> Regions:
    """What lies in the first and not in the second. Each must be sorted and free of overlaps."""
    start, end = _line(others)
    low = np.concatenate([[0], end])
    high = np.concatenate([start, [np.iinfo(np.int64).max]])
    between = low < high
    return _common(_line(these), (low[between], high[between]))


def widened(regions: Regions, by: int, contigs: Contigs) -> Regions:
    """Grown by ``by`` bases to both sides, up to the ends of the contigs."""
    start = np.maximum(regions.start - by, 0)
    end = np.minimum(regions.end + by, contigs.length[regions.contig])
    return union(Regions(regions.contig, start, end))


def covers(regions: Regions, contig: Ints, position: Ints) -> NDArray[np.bool_]:
    """(n,) True where a position (n,) lies in one of the regions: sorted, free of overlaps."""
    start, end = _line(regions)
    place = contig * _SPAN + position
    before = np.searchsorted(start, place, side="right")
    reach = np.concatenate([[-1], end])  # of those that begin before a place, the last one's end
    inside: NDArray[np.bool_] = place < reach[before]
    return inside


def _common(these: tuple[Ints, Ints], others: tuple[Ints, Ints]) -> Regions:
    """What lies in both; each piece of the result lies in one interval of ``these``."""
    (start, end), (other_start, other_end) = these, others
    low = np.searchsorted(other_end, start, side="right")
    count = np.maximum(np.searchsorted(other_start, end, side="left") - low, 0)
    mine = np.repeat(np.arange(len(start)), count)
    theirs = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count) + low[mine]
    return _regions(
        np.maximum(start[mine], other_start[theirs]), np.minimum(end[mine], other_end[theirs])
    )


def _line(regions: Regions) -> tuple[Ints, Ints]:
    offset = regions.contig * _SPAN
    return offset + regions.start, offset + regions.end


def _regions(start: Ints, end: Ints) -> Regions:
    contig = start // _SPAN
    return Regions(contig, start - contig * _SPAN, end - contig * _SPAN)
