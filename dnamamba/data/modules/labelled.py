"""What every labelled DataModule shares: classes, their weights, and what a stage needs."""

from abc import abstractmethod
from copy import copy
from typing import Any, Self

import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.labelled.codec import Codec
from dnamamba.data.modules.resumable import ResumableDataModule

__all__ = ["LabelledDataModule"]


class LabelledDataModule(ResumableDataModule):
    """Numbered samples with labels, whose names get their numbers from the training part.

    The arguments are those of ``ResumableDataModule``.
    """

    def __init__(
        self, tokenizer: Tokenizer, global_batch_size: int, seed: int, num_workers: int
    ) -> None:
        super().__init__(tokenizer, global_batch_size, seed, num_workers)
        self._codec: Codec | None = None
        self._said: list[str] = []

    @abstractmethod
    def read_labelled(self) -> Codec:
        """Read training, validation and test; gives the labels' names and numbers."""

    @abstractmethod
    def read_unlabelled(self) -> None:
        """Read what is to be predicted, if there is anything, once."""

    def summary(self) -> list[str]:
        return list(self._said)

    def say(self, line: str) -> None:
        """A line of ``summary``, on the terminal, too."""
        self._said.append(line)
        rank_zero_info(line)

    def load(self, stage: str | None) -> None:
        """Read the data: for ``predict`` no labels are needed."""
        if stage != "predict":
            self.read()
        self.read_unlabelled()

    def read(self) -> Codec:
        """Read what has labels, if that has not happened; see ``codec``."""
        if self._codec is None:
            self._codec = self.read_labelled()
        return self._codec

    @property
    def codec(self) -> Codec:
        """Names and numbers of the labels, as training has them; reads the data if need be."""
        return self.read()

    def dealt(self, global_batch_size: int, seed: int) -> Self:
        """The same data, read no second time, in batches of another size and another order.

        Args:
            global_batch_size: samples in one optimiser step, over all devices.
            seed: of order, strands and random pieces; not of the split.

        Raises:
            ValueError: a value out of range.
        """
        other = copy(self)
        ResumableDataModule.__init__(
            other, self.tokenizer, global_batch_size, seed, self.num_workers
        )
        return other

    def train_targets(self) -> NDArray[Any]:
        """Targets of the samples of a training epoch, in no order, as ``Codec.encode`` has them."""
        targets = self.dataset("train").targets
        assert targets is not None
        return targets

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
