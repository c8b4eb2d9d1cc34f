"""From sample numbers to batches, in this process or in workers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dnamamba.data.samples.order import held_out_batches

__all__ = ["SampleDataset", "SampleLoader"]

Ints = NDArray[np.int64]


class SampleDataset(Dataset[dict[str, Tensor]], ABC):
    """Maps an array of sample numbers to a raw batch; -1 stands for an empty row.

    Whatever is read, a batch holds ``tokens`` (B, L) uint8 (of variants (B, 2, L)): ids of the
    bases, read from the sample's strand, without BOS, PAD to the right; ``index`` (B,) int64: the
    samples' numbers, negative where a row is empty; and where they apply ``lengths`` (B,) int64:
    bases in each row, 0 where it is empty; ``resets`` (B, L) bool, True where a base has nothing
    to do with what stands before it; ``soft_mask``; and ``label``, of no meaning where a row is
    empty. Where rows go on from batch to batch they are lanes: ``lane`` (B,) int64 and ``before``
    (B,) uint8 say which, and what base was read last. What a model reads and predicts of it is
    made on the device.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Samples in an epoch."""

    @abstractmethod
    def __getitem__(self, index: Ints) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""

    @property
    @abstractmethod
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of the largest sample's ``tokens``: (L,), of variants (2, L)."""

    @abstractmethod
    def names(self, index: Ints) -> list[str]:
        """What the samples ``index`` (n,) int64 >= 0 are called in reports."""

    def describe(self, index: Ints) -> list[str]:
        """What the rows of a batch with these numbers (B,) int64 are called in reports."""
        names = iter(self.names(index[index >= 0]))
        return [next(names) if i >= 0 else "an empty row" for i in index]

    def held_out(self, batch: int, rank: int, world: int, mixed: bool) -> Iterator[Ints]:
        """The numbers of one rank's batches, over all samples once; see ``held_out_batches``."""
        return held_out_batches(len(self), batch, rank, world, mixed)

    def held_out_steps(self, rows: int) -> int:
        """Batches that ``held_out`` gives, of so many rows over all ranks."""
        return -(-len(self) // rows)

    @property
    def targets(self) -> NDArray[Any] | None:
        """The labels that an epoch's samples have, in no order; None without labels."""
        return None


class SampleLoader:
    """Iterates over the batches of a dataset; each iteration asks anew where to begin.

    No ``DataLoader`` itself: Lightning would replace the sampler of one under DDP and for
    predictions, and so undo the sharding. It counts as resumable to Lightning because its
    position is the data module's affair; it has no state of its own.

    Args:
        dataset: sample numbers -> batch.
        batches: called at the start of each iteration; gives the sample numbers of each batch.
        steps: batches in one iteration.
        num_workers: processes that read ahead; 0 reads in this one.
        pin_memory: copy batches to page-locked memory, for the transfer to a GPU.
    """

    def __init__(
        self,
        dataset: SampleDataset,
        batches: Callable[[], Iterator[Ints]],
        steps: int,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.dataset, self.batches, self.steps = dataset, batches, steps
        self.num_workers, self.pin_memory = num_workers, pin_memory

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        numbers = self.batches()
        sampler: Any = (next(numbers) for _ in range(self.steps))
        loader = DataLoader(
            self.dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            # Of its own: a loader draws a seed for its workers from the global generator, whose
            # state a resumed run must find as the uninterrupted one did.
            generator=torch.Generator(),
        )
        return iter(loader)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: see the class."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing: see the class."""
