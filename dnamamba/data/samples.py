"""Records of a labelled set as numbered samples.

Which record is the i-th sample of a run is a pure function of the seed and i, as in ``windows``:
nothing is carried from sample to sample, and i runs on across epochs.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dnamamba.data.permutation import mix, permute

__all__ = ["SampleDataset", "SampleOrder"]

Ints = NDArray[np.int64]

# Keeps the hashes of one seed for its several uses apart.
_ORDER, _STRANDS, _PIECES = range(3)


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


class SampleDataset(Dataset[dict[str, Tensor]], ABC):
    """Maps an array of sample numbers to a batch; one of -1 is an empty row."""

    @abstractmethod
    def __len__(self) -> int:
        """Samples in an epoch."""

    @abstractmethod
    def __getitem__(self, index: Ints) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""
