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

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's path is its own folder alone

from weighted import Weighted

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.callbacks import LastCheckpoint, NonFiniteError
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

SPOILED = {"whole": -1, "plain": 17, "fused": 17}
"""Of each case the window whose loss is NaN: in the fifth step, on the second of two processes."""


class FusedModule(PretrainModule):
    def configure_optimizers(self) -> Any:
        made: Any = super().configure_optimizers()
        for group in made["optimizer"].param_groups:
            group["fused"] = True  # as on a GPU: a bad step is not waited for
        return made


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

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append({"step": step, **metrics})

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass


def train(folder: Path, devices: int, accelerator: str, case: str) -> None:
    """Leave ``last.ckpt`` and ``metrics.json`` in FOLDER/CASE."""
    folder = folder / case
    folder.mkdir(parents=True, exist_ok=True)
    pl.seed_everything(1)
    module = (FusedModule if case == "fused" else PretrainModule)(
        MambaConfig(d_model=8, n_layers=1, d_state=2),
        Tokenizer(),
        OptimizerConfig(lr=1e-2, warmup_steps=0, eps=1e-4),
        objective=Weighted(),
    )
    log = Rows()
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_steps=6,
        val_check_interval=3,
        log_every_n_steps=2,
        logger=log,
        callbacks=[LastCheckpoint(folder, 2)],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    try:
        trainer.fit(module, Data(devices, SPOILED[case]))
    except NonFiniteError:
        (folder / f"error-{trainer.global_rank}.txt").write_text(traceback.format_exc())
        raise
    if trainer.is_global_zero:
        (folder / "metrics.json").write_text(json.dumps(log.rows))


if __name__ == "__main__":
    target, count, kind, *cases = sys.argv[1:]
    for name in cases:
        try:
            train(Path(target), int(count), kind, name)
        except NonFiniteError:
            if name == cases[-1]:
                raise
