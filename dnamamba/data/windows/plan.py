"""Which window is the i-th sample of a run: a pure function of the seed and i.

Nothing is carried from sample to sample, so that shards, workers and a resume at any step are
arithmetic on i. Sample i belongs to epoch i // n, with n windows in an epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.samples.permutation import mix, permute
from dnamamba.data.windows.tiling import Tiling

__all__ = ["WindowPlan", "Windows", "quotas"]

Ints = NDArray[np.int64]

# Keeps the hashes of one seed for its several uses apart.
_SLOTS, _WINDOWS, _STRANDS = range(3)


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


def quotas(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers in proportion to the weights, of the given sum (largest remainder)."""
    exact = [Fraction(weight) for weight in weights]
    share = [total * weight / sum(exact) for weight in exact]
    whole = [int(part) for part in share]
    by_remainder = sorted(range(len(share)), key=lambda i: (whole[i] - share[i], i))
    for i in by_remainder[: total - sum(whole)]:
        whole[i] += 1
    return tuple(whole)
