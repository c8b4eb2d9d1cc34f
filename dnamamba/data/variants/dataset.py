"""Batches of variants: the reference and the alternative window of each, cut as they are read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples.loader import SampleDataset
from dnamamba.data.samples.order import SampleOrder
from dnamamba.data.variants.alleles import allele_windows
from dnamamba.data.variants.record import Variant

__all__ = ["VariantDataset"]


class VariantDataset(SampleDataset):
    """A batch of variants for an array of sample numbers.

    Of what ``SampleDataset`` names, a batch holds

    - ``tokens`` (B, 2, L): the reference's and the alternative window; L is the longest of the
      batch;
    - ``lengths`` (B, 2) int64: bases in each window;
    - ``position`` (B,) int64: place of the variant's first base in both windows;
    - ``right`` (B,) int64: bases behind the variant, the same in both windows;
    - ``index`` (B,) and, if there are labels, ``label``: (B,) int64, (B, C) float32 or (B,)
      float32 (see ``Codec``).

    Args:
        genome: the reference.
        variants: from ``read_variants``, one a record.
        length: most bases in a window (see ``allele_windows``).
        tokenizer: byte -> id.
        targets: (n, ...), or None without labels.
        order: which record a sample is; None: as they stand.
    """

    def __init__(
        self,
        genome: Genome,
        variants: Sequence[Variant],
        length: int,
        tokenizer: Tokenizer,
        targets: NDArray[Any] | None = None,
        order: SampleOrder | None = None,
    ) -> None:
        self.genome, self.variants, self.length = genome, variants, length
        self.tokenizer, self._targets = tokenizer, targets
        self.order = order or SampleOrder(len(variants))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return 2, self.length

    def __getitem__(self, index: NDArray[np.int64]) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""
        number = self.order.numbers(np.maximum(index, 0))
        tokens = np.full((len(index), 2, self.length), PAD, dtype=np.uint8)
        lengths = np.zeros((len(index), 2), dtype=np.int64)
        left, right = (np.zeros(len(index), dtype=np.int64) for _ in range(2))
        reverse = self.order.reverse(index)
        for row in np.flatnonzero(index >= 0):
            variant = self.variants[number[row]]
            *windows, place = allele_windows(self.genome, variant, self.length)
            for allele, bases in enumerate(windows):
                ids = self.tokenizer.encode(bases, contig=variant.name)
                if reverse[row]:
                    ids = self.tokenizer.reverse_complement(ids)
                tokens[row, allele, : len(ids)] = ids
                lengths[row, allele] = len(ids)
            # From the other end both windows begin with the same flank, too.
            flanks = place, len(windows[0]) - place - len(variant.ref)
            left[row], right[row] = flanks[::-1] if reverse[row] else flanks
        tokens = tokens[:, :, : max(1, lengths.max(initial=1))].copy()
        places = {"position": left, "right": right}
        batch = {"tokens": tokens, "lengths": lengths, **places, "index": index}
        if self._targets is not None:
            batch["label"] = self._targets[number]
        return {name: torch.from_numpy(column) for name, column in batch.items()}

    def names(self, index: NDArray[np.int64]) -> list[str]:
        """``contig:position:ref:alt`` of each sample, as its VCF writes them."""
        return [self.variants[number].vcf_name for number in self.order.numbers(index)]

    @property
    def targets(self) -> NDArray[Any] | None:
        """Those of the variants, in their order."""
        return self._targets
