"""What every labelled DataModule shares: classes, their weights, and what a stage needs."""

from abc import abstractmethod
from typing import Any

import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from dnamamba.data.labelled.labels import Codec
from dnamamba.data.modules.resumable import ResumableDataModule

__all__ = ["LabelledDataModule"]


class LabelledDataModule(ResumableDataModule):
    """Numbered samples with labels, whose names get their numbers from the training part.

    The arguments are those of ``ResumableDataModule``.
    """

    @abstractmethod
    def load(self, stage: str | None) -> None:
        """Read what a stage of Lightning needs: ``predict`` its files, any other the rest."""

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """Names and numbers of the labels, as training has them; reads the data if need be."""

    @abstractmethod
    def train_targets(self) -> NDArray[Any]:
        """Targets of the training samples, as ``Codec.encode`` gives them."""

    def setup(self, stage: str | None = None) -> None:
        """Read the data. A checkpoint's position comes after this.

        Raises:
            ValueError: bad data, or nothing to validate on where that is the task.
        """
        super().setup(stage)
        self.load(stage)
        if stage in ("fit", "validate") and not len(self.dataset("validation")):
            if stage == "validate":
                raise ValueError(
                    "nothing is held out for validation; set data.split.validation or give "
                    "validation files"
                )
            rank_zero_info("no validation part: nothing is validated while training")
            if self.trainer is not None:
                self.trainer.limit_val_batches = 0

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
