"""Two processes train as one does, and stop together."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

# Run as a script, so that Lightning can start it a second time for the second process.
SCRIPT = r"""
import json, sys
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, DistributedSampler
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.callbacks import LastCheckpoint
from dnamamba.training.objectives import NextBase
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

folder, devices, spoiled = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
accelerator, fused = sys.argv[4], sys.argv[5] == "fused"


class Module(PretrainModule):
    def configure_optimizers(self):
        made = super().configure_optimizers()
        for group in made["optimizer"].param_groups:
            group["fused"] = fused or group["fused"]  # as on a GPU: a bad step is not waited for
        return made


class Weighted(NextBase):
    def example(self, batch, *options):
        return super().example(batch, *options)._replace(weight=batch["loss_weight"])


class Windows(torch.utils.data.Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, i):
        bases = torch.randint(4, 8, (12,), generator=torch.Generator().manual_seed(i))
        weight = torch.full((12,), 1.0 + 9 * (i % 2))  # the second process sees the heavy ones
        if i % 4 == 3:
            weight[4:] = 0
        if i == spoiled:
            weight[0] = float("nan")
        return {"tokens": bases, "loss_weight": weight, "index": i}


class Data(pl.LightningDataModule):
    def describe(self, index):
        return [f"window {int(i)}" for i in index]

    def train_dataloader(self):
        # Process r takes windows r, r + 2, ...: both together what one takes alone.
        sampler = DistributedSampler(Windows(), devices, self.trainer.global_rank, shuffle=False)
        return DataLoader(Windows(), batch_size=4 // devices, sampler=sampler)

    def val_dataloader(self):
        return self.train_dataloader()


class Figures(pl.loggers.Logger):
    name = version = "figures"
    rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append({"step": step, **metrics})

    def log_hyperparams(self, *_, **__):
        pass


pl.seed_everything(1)
module = Module(
    MambaConfig(d_model=8, n_layers=1, d_state=2),
    Tokenizer(),
    OptimizerConfig(lr=1e-2, warmup_steps=0, eps=1e-4),
    objective=Weighted(),
)
trainer = pl.Trainer(
    accelerator=accelerator,
    devices=devices,
    strategy="ddp" if devices > 1 else "auto",
    max_steps=6,
    val_check_interval=3,
    log_every_n_steps=2,
    logger=Figures(),
    callbacks=[LastCheckpoint(folder, 2)],
    enable_progress_bar=False,
    enable_model_summary=False,
    use_distributed_sampler=False,
)
trainer.fit(module, Data())
if trainer.is_global_zero:
    with open(folder + "/figures.json", "w") as file:
        json.dump(Figures.rows, file)
"""


def train(
    folder: Path, devices: int, spoiled: int = -1, accelerator: str = "cpu", kind: str = "plain"
) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(folder), str(devices), str(spoiled)]
    command += [accelerator, kind]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def figures(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "figures.json").read_text())
    return [{k: v for k, v in row.items() if not k.endswith("per_second")} for row in rows]


two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.mark.parametrize(
    "accelerator", ["cpu", pytest.param("gpu", marks=[pytest.mark.gpu, two_gpus])]
)
def test_two_processes_train_as_one(tmp_path: Path, accelerator: str) -> None:
    """Of unlike weights: a mean of the processes' means would differ in the first digit."""
    for name, devices in (("one", 1), ("two", 2)):
        done = train(tmp_path / name, devices, accelerator=accelerator)
        assert done.returncode == 0, done.stderr
    one, two = (
        torch.load(tmp_path / name / "last.ckpt", map_location="cpu", weights_only=True)
        for name in ("one", "two")
    )
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-4, atol=1e-5)
    assert len(one["random_state"]) == 1
    assert len(two["random_state"]) == 2
    for ours, theirs in zip(figures(tmp_path / "one"), figures(tmp_path / "two"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("kind", ["plain", "fused"])
def test_nan_on_one_process_stops_both(tmp_path: Path, kind: str) -> None:
    # Window 17 is in the fifth step, on the second process.
    done = train(tmp_path / "run", 2, spoiled=17, kind=kind)
    assert done.returncode != 0
    assert "the loss is nan at step 4 on rank 1" in done.stderr
    assert "window 17, window 19" in done.stderr
    assert "on rank 0" in done.stderr
    assert "last.ckpt" in done.stderr
    saved = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4
