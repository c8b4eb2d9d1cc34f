"""What every labelled DataModule shares: classes, their weights, and what a stage needs."""

from abc import abstractmethod
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.data.labelled.labels import Codec
from dnamamba.data.modules.resumable import ResumableDataModule

__all__ = ["LabelledDataModule"]


class LabelledDataModule(ResumableDataModule):
    """Numbered samples with labels, whose names get their numbers from the training part.

    The arguments are those of ``ResumableDataModule``.
    """

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """Names and numbers of the labels, as training has them; reads the data if need be."""

    @abstractmethod
    def train_targets(self) -> NDArray[Any]:
        """Targets of the training samples, as ``Codec.encode`` gives them."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes by number; empty for regression."""
        return list(self.codec.classes)

    @property
    def class_weights(self) -> Tensor:
        """(C,) float32 that make every class count the same in training (see ``Codec.weights``).

        Raises:
            ValueError: the labels are numbers.
        """
        return torch.from_numpy(self.codec.weights(self.train_targets()))
