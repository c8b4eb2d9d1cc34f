"""Which record is the i-th sample of a run, and which process reads it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.samples.permutation import mix, permute

__all__ = [
    "SampleOrder",
    "held_out_batches",
    "held_out_order",
    "lane_batches",
    "training_batches",
]

Ints = NDArray[np.int64]

# Keeps the hashes of one seed for its several uses apart.
_ORDER, _STRANDS, _PIECES = range(3)
_HELD_OUT = 0x9D9F  # the key of one order for all runs: figures on the same samples can be compared


@dataclass(frozen=True)
class SampleOrder:
    """Which record is sample i, and how it is read.

    Attributes:
        records: how many there are.
        seed: 0 to 2**63 - 1.
        shuffle: another order in each epoch, by a keyed permutation; else as in the file.
        flip: read half of the samples as their reverse complement, drawn by sample.
    """

    records: int
    seed: int = 0
    shuffle: bool = False
    flip: bool = False

    def __len__(self) -> int:
        """Samples in an epoch."""
        return self.records

    def numbers(self, index: Ints) -> Ints:
        """Records of the samples of these numbers, (n,) int64 >= 0."""
        epoch, place = np.divmod(index, self.records)
        if not self.shuffle:
            return place
        return permute(place, self.records, mix(self.seed, _ORDER, epoch))

    def reverse(self, index: Ints) -> NDArray[np.bool_]:
        """(n,) True where a sample is read as its reverse complement."""
        if not self.flip:
            return np.zeros(len(index), dtype=np.bool_)
        return (mix(self.seed, _STRANDS, index) & np.uint64(1)).astype(np.bool_)

    def offsets(self, index: Ints, over: Ints) -> Ints:
        """(n,) where each sample starts, 0 to ``over`` inclusive, drawn by sample."""
        drawn = mix(self.seed, _PIECES, index) % (over + 1).astype(np.uint64)
        return drawn.astype(np.int64)


def training_batches(start: int, batch: int, rank: int = 0, world: int = 1) -> Iterator[Ints]:
    """One rank's part of the endless stream of samples from number ``start`` on.

    Each step consumes the next ``world * batch`` samples, of which the ranks take consecutive
    stretches: what the ranks read together does not depend on how many they are.

    Args:
        start: samples consumed by all ranks before.
        batch: samples for each rank in one step.
        rank: this process, 0 to ``world - 1``.
        world: number of processes.
    """
    first = start + rank * batch
    while True:
        yield np.arange(first, first + batch)
        first += world * batch


def held_out_batches(
    n: int, batch: int, rank: int = 0, world: int = 1, mixed: bool = True
) -> Iterator[Ints]:
    """One rank's part of the samples 0 .. n - 1, each read by one rank once.

    Every rank gets the same number of batches of the same sizes; where n does not allow that,
    rows are filled up with the number -1, an empty window.

    Args:
        n: number of samples.
        batch: samples for each rank in one step, at most.
        rank: this process, 0 to ``world - 1``.
        world: number of processes.
        mixed: read them in the order of ``held_out_order``, so that the first batches alone are
            of all classes and genomes, as the whole is; else in order.
    """
    for start in range(0, n, world * batch):
        rows = min(batch, -(-(n - start) // world))
        place = start + rank * rows + np.arange(rows)
        real = place < n
        index = held_out_order(n, place * real) if mixed else place
        yield np.where(real, index, -1)


def lane_batches(
    lanes: int, steps: int, batch: int, rank: int = 0, world: int = 1
) -> Iterator[Ints]:
    """One rank's part of held-out lanes, each read by one rank from its first window to its last.

    Sample ``step * lanes + lane`` is a lane's window of that number. The lanes that are read side
    by side are read to their end before the next ones. Every rank gets as many batches, of as
    many rows; what is too many has the number -1.

    Args:
        lanes: number of lanes.
        steps: windows in a lane.
        batch: lanes for each rank side by side, at most.
        rank: this process, 0 to ``world - 1``.
        world: number of processes.
    """
    for start in range(0, lanes, world * batch):
        rows = min(batch, -(-(lanes - start) // world))
        lane = start + rank * rows + np.arange(rows)
        for step in range(steps):
            yield np.where(lane < lanes, step * lanes + lane, -1)


def held_out_order(n: int, place: Ints) -> Ints:
    """Which of n held-out samples stand at these places (k,), 0 to n - 1, of their fixed order."""
    return permute(place, n, _HELD_OUT)
