"""Windows of genomes, each labelled with the genome that it is from."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples import SampleDataset
from dnamamba.data.windows.dataset import WindowDataset
from dnamamba.data.windows.plan import WindowPlan
from dnamamba.data.windows.regions import Contigs

__all__ = ["SpeciesDataset"]


class SpeciesDataset(SampleDataset):
    """A batch of windows for an array of sample numbers.

    A batch holds

    - ``tokens`` (B, L) uint8: ids of the bases, read from the sample's strand, without BOS, PAD to
      the right;
    - ``lengths`` (B,) int64: bases in each row, 0 where a row is empty;
    - ``index`` (B,) int64: the samples' numbers, negative where a row is empty;
    - ``label`` (B,) int64, where asked for: number of the genome; of no meaning where a row is
      empty.

    Args:
        genomes: in the order of ``contigs.genomes``.
        contigs: what the plan's contig numbers mean.
        plan: which window a sample is.
        tokenizer: byte -> id.
        labelled: whether to deliver ``label``.
    """

    def __init__(
        self,
        genomes: Sequence[Genome],
        contigs: Contigs,
        plan: WindowPlan,
        tokenizer: Tokenizer,
        *,
        labelled: bool = True,
    ) -> None:
        self.windows = WindowDataset(genomes, contigs, plan, tokenizer, padded=True)
        self.labelled = labelled

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: NDArray[np.int64]) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""
        batch = self.windows[index]
        batch["tokens"] = batch.pop("bases")
        if self.labelled:
            contig = self.windows.plan.samples(index).contig
            batch["label"] = torch.from_numpy(self.windows.contigs.genome[contig])
        return batch
