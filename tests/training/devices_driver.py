"""Trainings on one or several processes; a script, which Lightning starts anew for each of them.

    python devices_driver.py FOLDER DEVICES ACCELERATOR CASE...

A start costs seconds: all cases share it. Each leaves its files in FOLDER/CASE, its error in
``error-RANK.txt``; the error of the last case is the script's.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's path is its own folder alone

import lean_lightning  # noqa: F401
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from weighted import Weighted

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.callbacks import ExportModel, LastCheckpoint, NonFiniteError
from dnamamba.training.captured import CapturedStep
from dnamamba.training.fully_sharded import FullySharded
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.replicated import Replicated

SPOILED = {"plain": 17, "fused": 17, "sharded, spoiled": 17}
"""Of a case the window whose loss is NaN: in the fifth step, on the second of two processes."""
_ACCUMULATED = {"gradient_clip_val": 0.2, "accumulate_grad_batches": 2, "val_check_interval": 4}
OPTIONS: dict[str, dict[str, Any]] = {
    "captured": {"gradient_clip_val": 0.2},
    "sharded": _ACCUMULATED,
    "sharded, resumed": _ACCUMULATED,
    "sharded, mixed": {"precision": "bf16-mixed"},
}
RECOMPUTED = ("sharded", "sharded, resumed")


class Module(PretrainModule):
    """Takes its steps as a case says.

    ``fused``: as on a GPU, where a bad step is not waited for. ``captured``: as there a small
    batch, but for the graph.
    """

    case = "whole"

    def configure_optimizers(self) -> Any:
        made: Any = super().configure_optimizers()
        for group in made["optimizer"].param_groups:
            group["fused"] = self.case in ("fused", "sharded, spoiled") or group["fused"]
        return made

    def captured(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        if self.case != "captured" or self.device.type != "cpu":
            return super().captured(batch)
        step = CapturedStep(self, self.measure)
        step._is_small, step._refused = lambda _: True, True  # type: ignore[method-assign]
        return step(batch)


class Windows(Dataset[Any]):
    def __init__(self, spoiled: int) -> None:
        self.spoiled = spoiled

    def __len__(self) -> int:
        return 32

    def __getitem__(self, i: int) -> dict[str, Any]:
        bases = torch.randint(4, 8, (12,), generator=torch.Generator().manual_seed(i))
        weight = torch.full((12,), 1.0 + 9 * (i % 2))  # the second process sees the heavy ones
        if i % 4 == 3:
            weight[4:] = 0
        if i == self.spoiled:
            weight[0] = float("nan")
        return {"tokens": bases, "loss_weight": weight, "index": i}


class Data(pl.LightningDataModule):
    def __init__(self, devices: int, spoiled: int) -> None:
        super().__init__()
        self.devices, self.windows = devices, Windows(spoiled)

    def describe(self, index: torch.Tensor) -> list[str]:
        return [f"window {int(i)}" for i in index]

    def train_dataloader(self) -> DataLoader[Any]:
        # Process r takes windows r, r + 2, ...: both together what one takes alone.
        rank = self.trainer.global_rank  # type: ignore[union-attr]
        sampler = DistributedSampler(self.windows, self.devices, rank, shuffle=False)
        return DataLoader(self.windows, batch_size=4 // self.devices, sampler=sampler)

    val_dataloader = train_dataloader


class Rows(pl.loggers.Logger):
    name = version = "rows"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.rank = 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append({"step": step, **metrics})

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass


def train(folder: Path, devices: int, accelerator: str, case: str, alone: bool = False) -> None:
    """Leave ``last.ckpt`` and ``metrics.json`` in FOLDER/CASE; ``alone``: without a strategy."""
    folder = folder / case
    folder.mkdir(parents=True, exist_ok=True)
    how = {"devices": devices, "accelerator": accelerator, "max_steps": 6, "val_check_interval": 3}
    how |= OPTIONS.get(case, {})
    if case == "sharded, resumed":  # behind its first epoch
        fit(folder, case, None, alone, **{**how, "max_steps": 4})
        log = fit(folder, case, folder / "last.ckpt", alone, **how)
    else:
        log = fit(folder, case, None, alone, **how)
    (folder / "metrics.json").write_text(json.dumps(log.rows)) if log.rank == 0 else None


def fit(folder: Path, case: str, resume: Path | None, alone: bool, **how: Any) -> Rows:
    pl.seed_everything(1)
    module = Module(
        MambaConfig(d_model=8, n_layers=2, d_state=2),
        Tokenizer(),
        # At one rate: where a run is to end changes no step.
        OptimizerConfig(lr=1e-2, warmup_steps=0, eps=1e-4, min_lr_ratio=1.0),
        objective=Weighted(),
        recompute="everything" if case in RECOMPUTED else "nothing",
    )
    module.case = case
    several: Any = FullySharded() if case.startswith("sharded") else Replicated()
    log = Rows()
    trainer = pl.Trainer(
        strategy="auto" if alone else several,
        log_every_n_steps=2,
        logger=log,
        callbacks=[LastCheckpoint(folder, 2), ExportModel(folder / "model")],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **how,
    )
    data = Data(how["devices"], SPOILED.get(case, -1))
    try:
        trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    except NonFiniteError:
        (folder / f"error-{trainer.global_rank}.txt").write_text(traceback.format_exc())
        raise
    log.rank = trainer.global_rank
    # Lightning would wait for the device before each batch.
    assert trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor.__name__ == "_nobody"
    # Whatever the strategy, the module is afterwards what it was.
    assert all(type(x) is torch.nn.Parameter for x in module.parameters())
    assert type(module) is Module
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    return log


if __name__ == "__main__":
    target, count, kind, *cases = sys.argv[1:]
    for name in cases:
        try:
            train(Path(target), int(count), kind, name)
        except NonFiniteError:
            if name == cases[-1]:
                raise
