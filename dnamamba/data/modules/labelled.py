"""What every labelled DataModule shares: loaders over numbered samples, and exact resume."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from dnamamba.data.labelled.labels import Codec
from dnamamba.data.modules.position import Position, rank_and_world
from dnamamba.data.samples import SampleDataset
from dnamamba.data.stream import WindowLoader, held_out_batches, training_batches

__all__ = ["LabelledDataModule", "Part", "sample_numbers"]

Part = Literal["train", "validation", "test", "predict"]


class LabelledDataModule(pl.LightningDataModule, ABC):
    """Loaders over datasets whose i-th sample is a function of the seed and i.

    What a checkpoint holds is the number of samples that all devices have consumed together, so
    that a resumed run goes on with the same global batches, whatever the number of devices or
    workers. Held-out parts are read in order, every record once; rows that fill up a batch are
    empty, with ``index`` -1.

    A subclass says what a part's dataset is and what decides the training stream.

    Args:
        global_batch_size: samples in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
        seed: of order, strands and random pieces; 0 to 2**63 - 1.
        num_workers: processes that read ahead.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(self, global_batch_size: int, seed: int, num_workers: int) -> None:
        super().__init__()
        if global_batch_size < 1:
            raise ValueError(f"data.global_batch_size must be at least 1, got {global_batch_size}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"data.seed must be 0 to 2**63 - 1, got {seed}")
        if num_workers < 0:
            raise ValueError(f"data.num_workers must be 0 or more, got {num_workers}")
        self.global_batch_size, self.seed, self.num_workers = global_batch_size, seed, num_workers
        self._position = Position(global_batch_size)

    @abstractmethod
    def dataset(self, part: Part) -> SampleDataset:
        """The dataset of a part; of length 0 where there is none."""

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """Names and numbers of the labels, as training has them; reads the data if need be."""

    @abstractmethod
    def train_targets(self) -> NDArray[Any]:
        """Targets of the training samples, as ``Codec.encode`` gives them."""

    @abstractmethod
    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""

    @abstractmethod
    def describe(self, index: Tensor | Iterable[int], part: Part = "train") -> list[str]:
        """What samples of these numbers are called in reports."""

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

    def train_dataloader(self) -> WindowLoader:
        """Batches of the training stream, from the run's position on.

        Raises:
            ValueError: the global batch does not divide by devices and accumulated batches.
        """
        batch, (rank, world) = self._position.batch(self.trainer), rank_and_world(self.trainer)
        dataset = self.dataset("train")
        return WindowLoader(
            dataset,
            lambda: training_batches(self._position.consumed(self.trainer), batch, rank, world),
            max(len(dataset) // (batch * world), 1),
            self.num_workers,
            self._pinned,
        )

    def val_dataloader(self) -> WindowLoader | list[Any]:
        """Batches of the validation part; empty without one."""
        return self._in_order("validation") if len(self.dataset("validation")) else []

    def test_dataloader(self) -> WindowLoader:
        """Batches of the test part.

        Raises:
            ValueError: nothing is held out for test.
        """
        if not len(self.dataset("test")):
            raise ValueError("nothing is held out for test; set data.split.test or give test files")
        return self._in_order("test")

    def predict_dataloader(self) -> WindowLoader:
        """Batches of what is to be predicted, in order.

        Raises:
            ValueError: nothing was given.
        """
        if not len(self.dataset("predict")):
            raise ValueError("there is nothing to predict; name files for predict in the data")
        return self._in_order("predict")

    def state_dict(self) -> dict[str, Any]:
        """The run's position, and what it is a position in."""
        return {**self._position.state(self.trainer), "stream": self.stream()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's position; without effect unless fitting.

        Raises:
            ValueError: the checkpoint is of another stream; names what differs.
        """
        if self.trainer is not None and self.trainer.state.fn != TrainerFn.FITTING:
            return  # a trained model may be evaluated on anything
        here, there = self.stream(), state_dict["stream"]
        differ = [
            f"{name} ({there.get(name)} in the checkpoint, {here.get(name)} now)"
            for name in here | there
            if here.get(name) != there.get(name)
        ]
        if differ:
            raise ValueError(
                f"cannot resume, for the training samples are others: {'; '.join(differ)}. Resume "
                "with the checkpoint's data and settings, or start a new run from its weights"
            )
        self._position.restore(state_dict)

    def _in_order(self, part: Part) -> WindowLoader:
        batch, (rank, world) = self._position.batch(self.trainer), rank_and_world(self.trainer)
        dataset = self.dataset(part)
        return WindowLoader(
            dataset,
            lambda: held_out_batches(len(dataset), batch, rank, world),
            -(-len(dataset) // (batch * world)),
            self.num_workers,
            self._pinned,
        )

    @property
    def _pinned(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


def sample_numbers(index: Tensor | Iterable[int]) -> NDArray[np.int64]:
    """Numbers of samples as an array, wherever the tensor lies."""
    return np.asarray(torch.as_tensor(index).cpu(), dtype=np.int64).reshape(-1)
