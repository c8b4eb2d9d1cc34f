"""Which window is the i-th sample of a run: a pure function of the seed and i.

Nothing is carried from sample to sample, so that shards, workers and a resume at any step are
arithmetic on i. Sample i belongs to epoch i // n, with n windows in an epoch.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples.permutation import mix, permute
from dnamamba.data.windows.regions import Contigs, Regions
from dnamamba.data.windows.tiling import Tiling

__all__ = ["Plans", "WindowPlan", "Windows", "quotas"]

Ints = NDArray[np.int64]

# Keeps the hashes of one seed for its several uses apart.
_SLOTS, _WINDOWS, _STRANDS = range(3)
_SLAB = 4096  # windows looked up together
_PLACES = (
    "places of the windows, which stride, tail, short, max_ambiguous, include, exclude and split "
    "decide"
)


class Windows(NamedTuple):
    """Samples of a run: where each lies and how it is read.

    Attributes:
        contig: (n,) int64, numbers of contigs in ``Contigs``.
        start: (n,) int64, 0-based.
        length: (n,) int64, bases; below L where the window is padded, 0 where it is empty.
        reverse: (n,) bool, read as the reverse complement.
    """

    contig: Ints
    start: Ints
    length: Ints
    reverse: NDArray[np.bool_]


@dataclass(frozen=True)
class WindowPlan:
    """The endless stream of samples over a tiling.

    The windows form pools: one of all windows, or, where genomes are mixed by weight, one for
    each genome. An epoch takes a fixed quota from each pool; every pool runs through its windows
    again and again, each time in another order, whatever the epoch. With one pool, an epoch holds
    every window once.

    Attributes:
        tiling: the windows; a pool is a stretch of their numbers.
        pools: how many windows each pool holds.
        quota: how many samples of an epoch come from each pool.
        seed: 0 to 2**63 - 1.
        shuffle: another order in each round, by a keyed permutation; else the genome's order.
        flip: read half of the samples as their reverse complement, drawn by sample.
    """

    tiling: Tiling
    pools: tuple[int, ...]
    quota: tuple[int, ...]
    seed: int = 0
    shuffle: bool = False
    flip: bool = False

    @classmethod
    def in_order(cls, tiling: Tiling) -> "WindowPlan":
        """Every window once, in the order of the genome."""
        return cls(tiling, (len(tiling),), (len(tiling),))

    def __len__(self) -> int:
        """Samples in an epoch."""
        return sum(self.quota)

    def samples(self, index: Ints) -> Windows:
        """The samples of these numbers (n,) int64; a negative number is an empty window."""
        number = self.numbers(np.maximum(index, 0))
        contig, start, length = self.tiling.places(number)
        if self.flip:
            reverse = (mix(self.seed, _STRANDS, index) & np.uint64(1)).astype(np.bool_)
        else:
            reverse = np.zeros(len(index), dtype=np.bool_)
        return Windows(contig, start, np.where(index < 0, 0, length), reverse)

    def numbers(self, index: Ints) -> Ints:
        """Which windows of the tiling the samples of these numbers (n,) >= 0 are."""
        epoch, slot = np.divmod(index, len(self))
        if len(self.pools) == 1:
            return self._order(slot, len(self), _WINDOWS, epoch, 0)
        slot = self._order(slot, len(self), _SLOTS, epoch, 0)
        quota, size = np.array(self.quota), np.array(self.pools)
        pool = np.searchsorted(np.cumsum(quota), slot, side="right")
        drawn = epoch * quota[pool] + slot - (np.cumsum(quota) - quota)[pool]
        turn, place = np.divmod(drawn, size[pool])
        before = (np.cumsum(size) - size)[pool]
        return before + self._order(place, size[pool], _WINDOWS, turn, pool)

    def _order(self, place: Ints, n: Ints | int, use: int, turn: Ints, pool: Ints | int) -> Ints:
        if not self.shuffle:
            return place
        return permute(place, n, mix(self.seed, use, turn, pool))


@dataclass(frozen=True)
class Plans:
    """The windows of a run's parts: training, validation, test, and all that is usable.

    Attributes:
        genomes: name -> genome.
        contigs: of all genomes; the plans' contig numbers refer to it.
        plans: ``train``, ``validation``, ``test`` and ``predict`` (all that is usable).
        regions: what the windows of each of them were laid over.
        report: one line a part: windows, bases, and what was left out and why.
        earlier: the training windows of each stage of the run before the last one.
    """

    genomes: Mapping[str, Genome]
    contigs: Contigs
    plans: Mapping[str, WindowPlan]
    regions: Mapping[str, Regions]
    report: tuple[str, ...]
    earlier: tuple[WindowPlan, ...] = ()

    def of(self, split: str) -> WindowPlan:
        """The plan of one part.

        Raises:
            ValueError: no such part.
        """
        try:
            return self.plans[split]
        except KeyError:
            raise ValueError(
                f"split must be one of {', '.join(self.plans)}, got {split!r}"
            ) from None

    def places(self, split: str) -> Iterator[tuple[int, str, int, int]]:
        """Genome number, contig, start and end of each window of a part, in their order."""
        tiling = self.of(split).tiling
        for first in range(0, len(tiling), _SLAB):
            windows = tiling.places(np.arange(first, min(first + _SLAB, len(tiling))))
            for contig, start, length in zip(*(column.tolist() for column in windows), strict=True):
                genome = int(self.contigs.genome[contig])
                yield genome, self.contigs.names[contig], start, start + length

    def bases(self, split: str) -> Iterator[bytes]:
        """The bases of each window of a part once, in their order, from the plus strand."""
        genomes = list(self.genomes.values())
        for genome, contig, start, end in self.places(split):
            yield genomes[genome].fetch(contig, start, end)

    def digest(self, split: str) -> str:
        """A hash of where a part's windows lie, those of earlier stages too."""
        digest = hashlib.blake2b(digest_size=8)
        for plan in (*(self.earlier if split == "train" else ()), self.of(split)):
            tiling = plan.tiling
            for column in (tiling.contig, tiling.first, tiling.end, tiling.count):
                digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()

    def check(self, tokenizer: Tokenizer) -> None:
        """Refuse at once what the tokenizer's policy would refuse in some window later.

        Raises:
            ValueError: names the genome, the contig, the position and the flag.
        """
        used = np.unique(self.of("predict").tiling.contig)
        for number, genome in enumerate(self.genomes.values()):
            own = used[self.contigs.genome[used] == number]
            genome.check(tokenizer, [self.contigs.names[contig] for contig in own])

    def identity(self) -> dict[str, Any]:
        """All that decides which bases the i-th training sample has; plain types."""
        plan, bases = self.of("train"), hashlib.blake2b(digest_size=8)
        for genome in self.genomes.values():
            bases.update(json.dumps([genome.digest, genome.contigs]).encode())
        return {
            "bases of the genomes": bases.hexdigest(),
            _PLACES: self.digest("train"),
            "samples of each genome": list(plan.quota),
            "length": plan.tiling.length,
            "seed": plan.seed,
            "shuffle": plan.shuffle,
            "reverse_complement": plan.flip,
        }


def quotas(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers in proportion to the weights, of the given sum (largest remainder)."""
    exact = [Fraction(weight) for weight in weights]
    share = [total * weight / sum(exact) for weight in exact]
    whole = [int(part) for part in share]
    by_remainder = sorted(range(len(share)), key=lambda i: (whole[i] - share[i], i))
    for i in by_remainder[: total - sum(whole)]:
        whole[i] += 1
    return tuple(whole)
