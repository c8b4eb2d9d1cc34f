"""Windows of genomes: batches of token ids, read as they are asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples.loader import SampleDataset
from dnamamba.data.windows.plan import WindowPlan
from dnamamba.data.windows.regions import Contigs
from dnamamba.lookup import look_up

__all__ = ["WindowDataset"]

Ids = NDArray[np.uint8]
Ints = NDArray[np.int64]

_FILLER = b"N"


class WindowDataset(SampleDataset):
    """A batch of windows for an array of sample numbers, read and encoded in one go.

    Of what ``SampleDataset`` names, a batch holds ``tokens`` and ``index``; ``lengths``, where
    the plan has windows shorter than L or rows may be empty; ``label`` (B,), where there are
    labels; and where asked for ``soft_mask`` (B, ceil(L / 8)) uint8: one bit a base
    (``numpy.packbits``), set in lower case.

    Args:
        genomes: in the order of ``contigs.genomes``.
        contigs: what the plan's contig numbers mean.
        plan: which window a sample is.
        tokenizer: byte -> id.
        soft_mask: whether to deliver ``soft_mask``.
        padded: whether rows may be empty (sample number -1) or short.
        labels: (C,) int64, the label of each contig's windows; None: there are none.
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
        labels: Ints | None = None,
    ) -> None:
        self.genomes, self.contigs, self.plan = genomes, contigs, plan
        self.tokenizer, self.soft_mask, self.labels = tokenizer, soft_mask, labels
        self.padded = padded or plan.tiling.has_short
        self._letters = b"".join(genome.letters for genome in genomes) + _FILLER

    def __len__(self) -> int:
        return len(self.plan)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.plan.tiling.length,)

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
        batch = {"tokens": ids, "index": index}
        if self.padded:
            batch["lengths"] = windows.length
        if self.soft_mask:
            lower = self.tokenizer.soft_mask(raw)
            _put_reversed(lower[turned], lower, turned, windows.length)
            batch["soft_mask"] = np.packbits(lower, axis=1)
        if self.labels is not None:
            batch["label"] = self.labels[windows.contig]
        return {name: torch.from_numpy(column) for name, column in batch.items()}

    def names(self, index: Ints) -> list[str]:
        """``genome contig:start-end(strand)`` of each sample, 0-based and half-open."""
        windows = zip(*self.plan.samples(index), strict=True)
        return [self.contigs.named(*window) for window in windows]

    @property
    def targets(self) -> Ints | None:
        """(samples of an epoch,) the labels of the windows; None without labels."""
        if self.labels is None:
            return None
        return self.labels[self.plan.samples(np.arange(len(self))).contig]

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
