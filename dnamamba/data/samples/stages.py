"""A run in stages of optimiser steps, each with samples of its own kind and number."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.data.samples.loader import SampleDataset
from dnamamba.data.samples.order import training_batches

__all__ = ["StagedDataset", "Stages"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stages:
    """Which samples an optimiser step takes, where not every step takes as many.

    The samples of a run are numbered from its first step to its last, across stages. Within its
    stage a sample has the number that it would have if the whole run were of that stage: a stage
    does not begin anew, it goes on where such a run would be.

    Attributes:
        starts: (S,) the first step of each stage, ascending from 0; the last one never ends.
        sizes: (S,) samples of one of its steps, over all devices and accumulated batches.
    """

    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """(S,) the run's number of each stage's first sample."""
        firsts = [0]
        for (start, end), size in zip(pairwise(self.starts), self.sizes, strict=False):
            firsts.append(firsts[-1] + (end - start) * size)
        return tuple(firsts)

    def at(self, step: int) -> int:
        """The stage of an optimiser step, both counted from 0."""
        return bisect_right(self.starts, step) - 1

    def of(self, index: Ints) -> Ints:
        """The stages of the samples of these numbers (n,) int64."""
        return np.searchsorted(np.array(self.firsts), index, side="right") - 1

    def within(self, index: Ints) -> Ints:
        """What numbers (n,) int64 the same samples have within their stages."""
        columns = zip(self.starts, self.sizes, self.firsts, strict=True)
        shifts = np.array([start * size - first for start, size, first in columns])
        return index + shifts[self.of(index)]

    def batches(
        self, start: int, accumulated: int = 1, rank: int = 0, world: int = 1
    ) -> Iterator[Ints]:
        """One rank's part of the endless stream of samples: see ``training_batches``.

        Args:
            start: batches that each rank has taken before.
            accumulated: batches of a rank in one step.
            rank: this process, 0 to ``world - 1``.
            world: number of processes.
        """
        ends = [*(step * accumulated for step in self.starts[1:]), None]
        for stage in range(self.at(start // accumulated), len(self.starts)):
            rows, end = self.sizes[stage] // (world * accumulated), ends[stage]
            taken = max(start - self.starts[stage] * accumulated, 0) * world * rows
            numbers = training_batches(self.firsts[stage] + taken, rows, rank, world)
            begun = max(start, self.starts[stage] * accumulated)
            yield from islice(numbers, None if end is None else end - begun)


class StagedDataset(SampleDataset):
    """The samples of a run in stages, by the run's numbers; a batch is of one stage.

    Args:
        datasets: of each stage. An epoch is one of the last.
        stages: which samples are of which.
    """

    def __init__(self, datasets: Sequence[SampleDataset], stages: Stages) -> None:
        self.datasets, self.stages = datasets, stages

    def __len__(self) -> int:
        return len(self.datasets[-1])

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return max(dataset.sample_shape for dataset in self.datasets)

    def __getitem__(self, index: Ints) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64, all of one stage."""
        (stage,) = np.unique(self.stages.of(index))
        batch = self.datasets[stage][self.stages.within(index)]
        return {**batch, "index": torch.from_numpy(index)}

    def names(self, index: Ints) -> list[str]:
        numbers = zip(self.stages.of(index), self.stages.within(index)[:, None], strict=True)
        return [name for stage, number in numbers for name in self.datasets[stage].names(number)]
