"""A running mean of the weights: what is validated, saved and kept, and how a run resumes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor

from dnamamba.config import MambaConfig
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.training.fully_sharded import FullySharded
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

STEPS, SHARE = 7, 0.5
Trainer = Callable[..., pl.Trainer]


class Watch(pl.Callback):
    """The weights behind each step, those of each validation, and a file a step."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.trained: list[dict[str, Tensor]] = []
        self.validated: dict[int, dict[str, Tensor]] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.trained.append(copy_of(pl_module))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        self.trained.append(copy_of(pl_module))
        if self.folder is not None:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        self.validated[trainer.global_step] = copy_of(pl_module)


def copy_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: x.detach().clone() for name, x in module.named_parameters()}


def fit(
    trainer: Trainer,
    folder: Path,
    watch: Watch,
    share: float = SHARE,
    resume: Path | None = None,
    frozen: bool = False,
) -> PretrainModule:
    pl.seed_everything(1, verbose=False)
    optimizer = OptimizerConfig(lr=1e-2, warmup_steps=0, average=share)
    module = PretrainModule(MambaConfig(d_model=8, n_layers=1, d_state=2), optimizer=optimizer)
    module.model.backbone.embedding.requires_grad_(not frozen)
    data = GenomeDataModule(
        ["data/samples/phix174.fa"],
        length=64,
        global_batch_size=16,
        cache_dir=str(folder / "cache"),
        split={"validation": {"fraction": 0.1}, "guard": 64},
    )
    run = trainer(
        max_steps=STEPS, callbacks=[watch], limit_val_batches=1, val_check_interval=3,
        check_val_every_n_epoch=None,
    )  # fmt: skip
    run.fit(module, data, ckpt_path=resume, weights_only=True)
    return module


def means(trained: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """The mean behind each step, from the weights behind each."""
    kept = [{name: x.double() for name, x in trained[0].items()}]
    for step, weights in enumerate(trained[1:], 1):
        weight = 1 / min(SHARE * STEPS, step + 1)
        kept.append({name: x + (weights[name] - x) * weight for name, x in kept[-1].items()})
    return kept


def assert_same(weights: dict[str, Tensor], expected: dict[str, Tensor], exact: bool) -> None:
    rtol, atol = (0.0, 0.0) if exact else (1e-5, 1e-7)
    for name, value in expected.items():
        torch.testing.assert_close(weights[name].to(value), value, rtol=rtol, atol=atol)


def test_the_mean_is_validated_saved_and_kept(quiet_trainer: Trainer, tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    module = fit(quiet_trainer, tmp_path, watch)
    expected = means(watch.trained)
    assert sorted(watch.validated) == [3, 6]
    for step, weights in watch.validated.items():
        assert_same(weights, expected[step], exact=False)
    for step in (2, 3, STEPS):
        saved = torch.load(tmp_path / f"{step}.ckpt", weights_only=True)
        assert_same(saved["state_dict"], expected[step], exact=False)
        assert_same(saved["trained_weights"], watch.trained[step], exact=True)
    assert_same(copy_of(module), expected[STEPS], exact=False)


def test_training_itself_does_not_change(quiet_trainer: Trainer, tmp_path: Path) -> None:
    with_mean, without = Watch(), Watch()
    fit(quiet_trainer, tmp_path, with_mean)
    module = fit(quiet_trainer, tmp_path, without, share=0.0)
    for first, second in zip(with_mean.trained, without.trained, strict=True):
        assert_same(first, second, exact=True)
    assert_same(copy_of(module), without.trained[-1], exact=True)


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_resumed_run_is_the_run(step: int, quiet_trainer: Trainer, tmp_path: Path) -> None:
    whole = fit(quiet_trainer, tmp_path, Watch(tmp_path))
    resumed = fit(quiet_trainer, tmp_path, Watch(), resume=tmp_path / f"{step}.ckpt")
    assert_same(copy_of(resumed), copy_of(whole), exact=True)


def test_resumed_without_a_mean_it_goes_on_from_the_weights(
    quiet_trainer: Trainer, tmp_path: Path
) -> None:
    watch = Watch(tmp_path)
    fit(quiet_trainer, tmp_path, watch)
    module = fit(quiet_trainer, tmp_path, Watch(), share=0.0, resume=tmp_path / "5.ckpt")
    assert_same(copy_of(module), watch.trained[-1], exact=True)


def test_resumed_with_others_frozen_the_optimiser_refuses(
    quiet_trainer: Trainer, tmp_path: Path
) -> None:
    fit(quiet_trainer, tmp_path, Watch(tmp_path))
    with pytest.raises(ValueError, match="cannot resume: the checkpoint trains parameters"):
        fit(quiet_trainer, tmp_path, Watch(), resume=tmp_path / "5.ckpt", frozen=True)


def test_shards_have_no_mean(quiet_trainer: Trainer, tmp_path: Path) -> None:
    def sharded(**options: Any) -> pl.Trainer:
        return quiet_trainer(**options, strategy=FullySharded())

    # Lightning leaves in the environment what started processes are told.
    with (
        patch.dict(os.environ),
        pytest.raises(
            MisconfigurationException, match=r"set model\.optimizer\.average\s+0, or strategy ddp"
        ),
    ):
        fit(sharded, tmp_path, Watch())


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match=r"optimizer\.average must be in \[0, 1\)"):
        OptimizerConfig(average=share)
