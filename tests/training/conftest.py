"""Toy data for the training room: what a batch must hold, without a genome.

``loss_weight`` is for those who train with ``Weighted``; the next base does without.
"""

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = dict[str, Tensor]


class ToyWindows(Dataset[Batch]):
    """Sample i is a pure function of i; ``change`` may spoil it."""

    def __init__(self, count: int, length: int, change: Callable[[int, Batch], None]) -> None:
        self.count, self.length, self.change = count, length, change

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Batch:
        bases = torch.randint(4, 8, (self.length,), generator=torch.Generator().manual_seed(i))
        sample = {
            "tokens": bases.to(torch.uint8),
            "loss_weight": torch.ones(self.length),
            "index": torch.tensor(i),
        }
        self.change(i, sample)
        return sample


class ToyData(pl.LightningDataModule):
    def __init__(
        self,
        count: int = 16,
        length: int = 12,
        batch_size: int = 4,
        change: Callable[[int, Batch], None] = lambda i, sample: None,
    ) -> None:
        super().__init__()
        self.windows = ToyWindows(count, length, change)
        self.batch_size = batch_size

    def describe(self, index: Tensor) -> list[str]:
        return [f"toy chr1:{12 * int(i)}-{12 * int(i) + 12}(+)" for i in index]

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.windows, batch_size=self.batch_size, generator=torch.Generator())

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


@pytest.fixture
def toy_data() -> type[ToyData]:
    return ToyData


@pytest.fixture
def quiet_trainer() -> Callable[..., pl.Trainer]:
    """A trainer on the CPU that writes nothing unless told to."""

    def make(**options: Any) -> pl.Trainer:
        defaults: dict[str, Any] = {
            "accelerator": "cpu",
            "devices": 1,
            "max_steps": 4,
            "num_sanity_val_steps": 0,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        return pl.Trainer(**{**defaults, **options})

    return make
