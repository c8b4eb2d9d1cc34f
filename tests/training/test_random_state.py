"""A resumed run draws the numbers that the uninterrupted one drew."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from dnamamba.training.callbacks import RandomState


class Numbers(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, item: int) -> torch.Tensor:
        return torch.tensor([float(item)])


class Drawing(pl.LightningModule):
    """Draws from every generator in every step, validation included, and keeps what it drew."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.fail_at = fail_at
        self.drawn: dict[int, tuple[float, ...]] = {}

    @staticmethod
    def draw() -> tuple[float, ...]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        step = self.global_step
        drawn = self.draw()
        if step == self.fail_at:
            raise RuntimeError("on purpose")
        self.drawn[step] = drawn
        return self.layer(batch).mean() * drawn[2]

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.draw()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class SaveAlways(pl.Callback):
    """A checkpoint after every step, and one, named so, at an exception."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"step={trainer.global_step}.ckpt")

    def on_exception(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / "exception.ckpt")


def fit(folder: Path, module: Drawing, steps: int, resume: Path | None = None, **options: Any):
    pl.seed_everything(3 if resume is None else 99)
    loader = DataLoader(Numbers(), batch_size=2, generator=torch.Generator())
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        callbacks=[RandomState(), SaveAlways(folder)],
        **options,
    )
    held_out = DataLoader(Numbers(), batch_size=4, generator=torch.Generator())
    trainer.fit(module, loader, held_out, ckpt_path=resume)


# Steps 4 and 8 end an epoch of four batches; validation follows every second batch.
@pytest.mark.filterwarnings("ignore:.*dataloader is not resumable")
@pytest.mark.parametrize("stop", [1, 2, 4, 5, 8])
def test_resume_continues_every_generator(tmp_path: Path, stop: int) -> None:
    whole = Drawing()
    fit(tmp_path / "whole", whole, 10, val_check_interval=2)
    resumed = Drawing()
    checkpoint = tmp_path / "whole" / f"step={stop}.ckpt"
    fit(tmp_path / "resumed", resumed, 10, resume=checkpoint, val_check_interval=2)
    assert resumed.drawn == {step: v for step, v in whole.drawn.items() if step >= stop}


@pytest.mark.filterwarnings("ignore:.*dataloader is not resumable")
def test_a_batch_cut_short_starts_again_from_its_own_state(tmp_path: Path) -> None:
    whole = Drawing()
    fit(tmp_path / "whole", whole, 6)
    with pytest.raises(RuntimeError, match="on purpose"):
        fit(tmp_path / "cut", Drawing(fail_at=3), 6)
    resumed = Drawing()
    fit(tmp_path / "resumed", resumed, 6, resume=tmp_path / "cut" / "exception.ckpt")
    assert resumed.drawn == {step: v for step, v in whole.drawn.items() if step >= 3}
