"""A checkpoint may be written wherever a callback is called: its resume is the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from dnamamba.config import MambaConfig
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

STEPS = 9  # two epochs of four steps, and one step


class Saves(pl.Callback):
    """As a user's own callback does: a file a step."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.epochs = folder, 0

    def on_train_epoch_start(self, *_: Any) -> None:
        self.epochs += 1
        assert self.epochs < STEPS, "the run does not end"

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.folder is not None and trainer.global_step:
            path = self.folder / f"{trainer.global_step}.ckpt"
            if not path.exists():  # behind the last of a step's batches, not within the next step
                trainer.save_checkpoint(path)


def fit(
    trainer: Callable[..., pl.Trainer], folder: Path, saves: Saves, resume: Path | None, **how: Any
) -> dict[str, torch.Tensor]:
    pl.seed_everything(1)
    module = PretrainModule(
        MambaConfig(d_model=8, n_layers=1, d_state=2), optimizer=OptimizerConfig(warmup_steps=0)
    )
    data = GenomeDataModule(
        ["data/samples/phix174.fa"],
        length=64,
        global_batch_size=16,
        cache_dir=str(folder / "cache"),
        split={"validation": {"fraction": 0.1}, "guard": 64},
    )
    run = trainer(max_steps=STEPS, callbacks=[saves], **how)
    run.fit(module, data, ckpt_path=resume, weights_only=True)
    return module.state_dict()


@pytest.mark.parametrize(
    "how",
    [
        {"limit_val_batches": 0},
        {"limit_val_batches": 1},
        {"limit_val_batches": 1, "check_val_every_n_epoch": None, "val_check_interval": 3},
        {"limit_val_batches": 1, "val_check_interval": 2},
        {"limit_val_batches": 0, "accumulate_grad_batches": 2},
    ],
    ids=["never validated", "at the epoch's end", "beside it", "within", "accumulated"],
)
def test_saved_behind_any_batch(
    how: dict[str, Any], quiet_trainer: Callable[..., pl.Trainer], tmp_path: Path
) -> None:
    """The last of an epoch too, to which no validation belongs."""
    whole = fit(quiet_trainer, tmp_path, Saves(tmp_path), None, **how)
    for step in (3, 4, 8):
        resumed = fit(quiet_trainer, tmp_path, Saves(None), tmp_path / f"{step}.ckpt", **how)
        for name, value in whole.items():
            assert torch.equal(resumed[name], value), (step, name)
