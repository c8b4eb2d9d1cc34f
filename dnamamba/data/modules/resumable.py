"""What every DataModule shares: loaders over numbered samples, and exact resume."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.modules.position import Position, rank_and_world
from dnamamba.data.modules.sources import SourceFile
from dnamamba.data.samples.loader import SampleDataset, SampleLoader
from dnamamba.data.samples.stages import Stages
from dnamamba.settings import plain, typed

__all__ = ["DataPart", "ResumableDataModule"]

DataPart = Literal["train", "validation", "test", "predict"]

_MOST_SAMPLES = 1 << 24
_MOST_WORKERS = 256  # each is a process, with memory of its own


class ResumableDataModule(pl.LightningDataModule, ABC):
    """Loaders over datasets whose i-th sample is a function of the seed and i.

    What a checkpoint holds is the number of samples that all devices have consumed together, so
    that a resumed run goes on with the same global batches, whatever the number of devices,
    workers or accumulated batches. An epoch of Lightning is ``samples // global_batch_size``
    steps; the rest of the samples comes first in the next one. Of held-out parts every sample is
    read once, in a fixed order that mixes them: the first batches say what all would, roughly.
    What is to be predicted comes in order. Rows that fill up a batch are empty, with ``index`` -1.

    A subclass says what a part's dataset is and what decides the training stream. Batches are as
    ``SampleDataset`` says; nothing of them changes on the way to the device.

    Args:
        tokenizer: byte -> id, or the fields of one.
        global_batch_size: samples in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
        seed: of all that is random; 0 to 2**63 - 1.
        num_workers: processes that read ahead; at most 256.

    Raises:
        ValueError: a value out of range.
    """

    length_setting: str = "data.length"
    """What bounds a sample's length, as a configuration sets it: this, a colon, a number."""
    held_out_batch_size: int | None = None
    """Samples of held-out parts that a device reads side by side; None: as many as in training."""
    stages: Stages
    """How many samples the steps of a run take: all as many, unless a subclass says otherwise."""

    def __init__(
        self, tokenizer: Tokenizer, global_batch_size: int, seed: int, num_workers: int
    ) -> None:
        super().__init__()
        if global_batch_size < 1:
            raise ValueError(f"data.global_batch_size must be at least 1, got {global_batch_size}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"data.seed must be 0 to 2**63 - 1, got {seed}")
        if num_workers < 0:
            raise ValueError(f"data.num_workers must be 0 or more, got {num_workers}")
        if global_batch_size > _MOST_SAMPLES:
            raise ValueError(
                f"data.global_batch_size must be at most {_MOST_SAMPLES:,}, got {global_batch_size}"
            )
        if num_workers > _MOST_WORKERS:
            raise ValueError(f"data.num_workers must be at most {_MOST_WORKERS}, got {num_workers}")
        self.tokenizer = typed(Tokenizer, tokenizer)
        self.global_batch_size, self.seed, self.num_workers = global_batch_size, seed, num_workers
        self.stages = Stages((0,), (global_batch_size,))
        self._position = Position(global_batch_size)

    @abstractmethod
    def dataset(self, part: DataPart) -> SampleDataset:
        """The dataset of a part; of length 0 where there is none."""

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types; a subclass adds its own."""
        return {"global_batch_size": self.global_batch_size, "tokenizer": plain(self.tokenizer)}

    @abstractmethod
    def load(self, stage: str | None) -> None:
        """Read what a stage of Lightning needs; None stands for all."""

    @property
    def steps_of_epoch(self) -> int:
        """Whole optimiser steps: Lightning ends an epoch with a step, however few its batches."""
        return max(len(self.dataset("train")) // self.global_batch_size, 1)

    def sources(self) -> list[SourceFile]:
        """The files that training and held-out parts are read from; a subclass lists its own."""
        return []

    def summary(self) -> list[str]:
        """A line a part that has been read, as it was said on the terminal: how much there is."""
        return []

    def largest_samples(self) -> list[tuple[int, tuple[int, ...]]]:
        """Samples of a training step, and the shape of the largest, of each stage of a run."""
        return [(self.global_batch_size, self.dataset("train").sample_shape)]

    def figures(self, step: int) -> dict[str, float]:
        """What the log of training is to say of an optimiser step, counted from 0."""
        return {}

    def describe(self, index: Tensor | Iterable[int], part: DataPart = "train") -> list[str]:
        """What samples are called in reports: see the dataset's ``names``.

        Args:
            index: numbers of samples (B,), as in a batch.
            part: what the batch is of.
        """
        numbers = np.asarray(torch.as_tensor(index).cpu(), dtype=np.int64).reshape(-1)
        return self.dataset(part).describe(numbers)

    def check_devices(self, trainer: pl.Trainer, stage: str | None) -> None:
        """Refuse devices among which samples cannot be shared out; nothing is read for it.

        Args:
            trainer: whose devices they are.
            stage: ``fit``, or what else they are to do.

        Raises:
            ValueError: names what does not divide, and what would.
        """
        self._position.batch(trainer)

    def setup(self, stage: str | None = None) -> None:
        """Read the data. A checkpoint's position comes after this."""
        if self.trainer is not None:
            self.check_devices(self.trainer, stage)
        self._position.reset()
        self.load(stage)
        if stage == "fit" and self.trainer is not None and not len(self.dataset("validation")):
            rank_zero_info("nothing is held out for validation: nothing is validated in training")
            self.trainer.limit_val_batches = 0

    def train_dataloader(self) -> SampleLoader:
        """Batches of the training stream, from the run's position on.

        Raises:
            ValueError: the global batch does not divide by devices and accumulated batches.
        """
        self._position.align(self.trainer)
        batch, (rank, world) = self._position.batch(self.trainer), rank_and_world(self.trainer)
        dataset = self.dataset("train")
        accumulated = self.global_batch_size // (batch * world)

        def numbers() -> Iterator[NDArray[np.int64]]:
            before = self._position.consumed(self.trainer) // (batch * world)
            return self.stages.batches(before, accumulated, rank, world)

        return SampleLoader(
            dataset,
            numbers,
            self.steps_of_epoch * accumulated,
            self.num_workers,
            self._pinned,
        )

    def val_dataloader(self) -> SampleLoader:
        """Batches of the validation part.

        Raises:
            ValueError: there is none.
        """
        return self._held_out("validation")

    def test_dataloader(self) -> SampleLoader:
        """Batches of the test part.

        Raises:
            ValueError: there is none.
        """
        return self._held_out("test")

    def predict_dataloader(self) -> SampleLoader:
        """Batches of what is to be predicted, in order.

        Raises:
            ValueError: there is nothing.
        """
        return self._held_out("predict")

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
        now, stored = self.stream(), state_dict["stream"]
        differ = [
            f"{name} ({stored.get(name)} in the checkpoint, {now.get(name)} now)"
            for name in now | stored
            if now.get(name) != stored.get(name)
        ]
        if differ:
            raise ValueError(
                f"cannot resume, for the training samples are others: {'; '.join(differ)}. Resume "
                "with the checkpoint's data and settings, or start a new run from its weights"
            )
        self._position.restore(state_dict)

    def _held_out(self, part: DataPart) -> SampleLoader:
        batch, (rank, world) = self._position.batch(self.trainer), rank_and_world(self.trainer)
        batch, dataset = self.held_out_batch_size or batch, self.dataset(part)
        if not len(dataset):
            raise ValueError(
                "there is nothing to predict; name files for it in the data"
                if part == "predict"
                else f"nothing is held out for {part}; set data.split.{part}, or give its files"
            )
        return SampleLoader(
            dataset,
            lambda: dataset.held_out(batch, rank, world, part != "predict"),
            dataset.held_out_steps(batch * world),
            self.num_workers,
            self._pinned,
        )

    @property
    def _pinned(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
