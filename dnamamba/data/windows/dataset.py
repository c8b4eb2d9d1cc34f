"""From sample numbers to batches of token ids, in this process or in workers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples import SampleDataset
from dnamamba.data.windows.plan import WindowPlan
from dnamamba.data.windows.regions import Contigs
from dnamamba.lookup import look_up

__all__ = ["WindowDataset", "WindowLoader", "held_out_batches", "training_batches"]

Ids = NDArray[np.uint8]
Ints = NDArray[np.int64]

_FILLER = b"N"


class WindowDataset(SampleDataset):
    """A batch of windows for an array of sample numbers, read and encoded in one go.

    A batch holds

    - ``bases`` (B, L) uint8: token ids, read from the sample's strand, PAD to the right;
    - ``index`` (B,) int64: the samples' numbers, negative where a row is empty;
    - ``lengths`` (B,) int64: bases in each row, where the plan has windows shorter than L;
    - ``soft_mask`` (B, ceil(L / 8)) uint8: one bit a base (``numpy.packbits``), set in lower case,
      where asked for.

    Args:
        genomes: in the order of ``contigs.genomes``.
        contigs: what the plan's contig numbers mean.
        plan: which window a sample is.
        tokenizer: byte -> id.
        soft_mask: whether to deliver ``soft_mask``.
        padded: whether rows may be empty (sample number -1) or short.
    """

    def __init__(
        self,
        genomes: Sequence[Genome],
        contigs: Contigs,
        plan: WindowPlan,
        tokenizer: Tokenizer,
        *,
        soft_mask: bool = False,
        padded: bool = False,
    ) -> None:
        self.genomes, self.contigs, self.plan = genomes, contigs, plan
        self.tokenizer, self.soft_mask = tokenizer, soft_mask
        self.padded = padded or plan.tiling.has_short
        self._letters = b"".join(genome.letters for genome in genomes) + _FILLER

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: Ints) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""
        windows = self.plan.samples(index)
        shape = len(index), self.plan.tiling.length
        # What lies behind a short window must encode; it becomes PAD below.
        raw = np.full(shape, ord(_FILLER), np.uint8) if self.padded else np.empty(shape, np.uint8)
        self._read(windows.contig, windows.start, windows.length, raw)
        ids = np.empty_like(raw)
        self.tokenizer.encode_into(raw, ids, self._letters)
        for row in np.flatnonzero(windows.length < shape[1]):
            ids[row, windows.length[row] :] = PAD
        turned = np.flatnonzero(windows.reverse)
        complement = np.empty((len(turned), shape[1]), np.uint8)
        look_up(self.tokenizer.complement_table, ids[turned].reshape(-1), complement.reshape(-1))
        _put_reversed(complement, ids, turned, windows.length)
        lower = self.tokenizer.soft_mask(raw) if self.soft_mask else None
        if lower is not None:
            _put_reversed(lower[turned], lower, turned, windows.length)
        batch = {"bases": torch.from_numpy(ids), "index": torch.from_numpy(index)}
        if self.padded:
            batch["lengths"] = torch.from_numpy(windows.length)
        if lower is not None:
            batch["soft_mask"] = torch.from_numpy(np.packbits(lower, axis=1))
        return batch

    def _read(self, contig: Ints, start: Ints, length: Ints, out: Ids) -> None:
        """The windows' bytes, from the plus strand."""
        genome, within = self.contigs.genome[contig], self.contigs.within[contig]
        if len(self.genomes) == 1:
            self.genomes[0].read_into(within, start, length, out)
            return
        for one in np.unique(genome):
            rows = np.flatnonzero(genome == one)
            part = out[rows]
            self.genomes[one].read_into(within[rows], start[rows], length[rows], part)
            out[rows] = part


def _put_reversed(rows: NDArray[Any], out: NDArray[Any], at: Ints, length: Ints) -> None:
    """Write rows (n, L), each reversed within its length, over the rows ``at`` of ``out``."""
    out[at] = rows[:, ::-1]
    for row in at[length[at] < out.shape[1]]:  # reversed, their padding came first
        out[row] = np.roll(out[row], length[row])


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


def held_out_batches(n: int, batch: int, rank: int = 0, world: int = 1) -> Iterator[Ints]:
    """One rank's part of the samples 0 .. n - 1, each read by one rank once.

    Every rank gets the same number of batches of the same sizes; where n does not allow that,
    rows are filled up with the number -1, an empty window.

    Args:
        n: number of samples.
        batch: samples for each rank in one step, at most.
        rank: this process, 0 to ``world - 1``.
        world: number of processes.
    """
    for start in range(0, n, world * batch):
        rows = min(batch, -(-(n - start) // world))
        index = start + rank * rows + np.arange(rows)
        yield np.where(index < n, index, -1)


class WindowLoader:
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
