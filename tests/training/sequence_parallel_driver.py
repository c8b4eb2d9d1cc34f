"""Trainings whose sequences one or several processes share; a script, started for each of them.

    python sequence_parallel_driver.py FOLDER DEVICES ACCELERATOR CASE:P...

A start costs seconds: all cases share it. What case CASE has trained over P processes a sequence
lies in FOLDER/CASE-P; what it reads, ``g.fa`` or ``l.csv``, in FOLDER. Where FOLDER/CASE-P.ckpt is,
the training goes on from there.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's path is its own folder alone

import lean_lightning  # noqa: F401
import pytorch_lightning as pl
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BackboneConfig, BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.labelled.splits import Split
from dnamamba.data.modules import GenomeDataModule, LabelledFiles, LabelledSequenceDataModule
from dnamamba.model.heads import HeadConfig
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.metrics_file import MetricsFile
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.predictions import write_predictions
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.sequence_parallel import SequenceParallel

SIZES = {"d_model": 8, "n_layers": 2, "d_state": 3}
HEAD = HeadConfig("multiclass", ("at", "gc", "mix"), pooling="attention", both_strands=True)
SHORT = WindowConfig(stride=60, tail="pad", short="pad")

# Of each case the model, how it is trained, its data, its trainer.
CASES: dict[str, tuple[type[BackboneConfig], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "labelled": (MambaConfig, {"class_weights": True}, {}, {"gradient_clip_val": 1.0}),
    "windows": (
        MambaConfig,
        {"recompute": "cheap"},
        {"length": 67, "soft_mask_weight": 0.25, "windows": SHORT},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.1},
    ),
    "packed": (MambaConfig, {}, {"length": 65, "rows": "packed"}, {}),
    "lanes": (MambaConfig, {}, {"length": 66, "rows": "lanes"}, {}),
    "masked": (
        BiMambaConfig,
        {"recompute": "everything"},
        {"length": 67, "soft_mask_weight": 0.25, "windows": SHORT},
        {},
    ),
    "symmetric": (SymmetricBiMambaConfig, {}, {"length": 71, "rows": "packed"}, {}),
}


class Gradients(pl.Callback):
    """Of the first step, as the optimiser is given them."""

    def __init__(self) -> None:
        self.seen: dict[str, torch.Tensor] = {}

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        named = pl_module.named_parameters()
        self.seen = self.seen or {name: x.grad.clone() for name, x in named}


class Saver(pl.Callback):
    """Saves behind the third step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.folder / "third.ckpt")


def made(folder: Path, case: str) -> tuple[Any, pl.LightningDataModule]:
    """The module and the data of a case."""
    config, settings, reads, _ = CASES[case]
    pl.seed_everything(1, verbose=False)
    how: dict[str, Any] = {"optimizer": OptimizerConfig(lr=1e-2, warmup_steps=0, eps=1e-4)}
    how |= {"model": config(**SIZES), "tokenizer": Tokenizer(), **settings}
    module = ClassificationModule(head=HEAD, **how) if case == "labelled" else PretrainModule(**how)
    data: pl.LightningDataModule
    if isinstance(module, ClassificationModule):
        module.reports = False
        table, parts = str(folder / "l.csv"), Split(validation=0.2, test=0.2)
        files = LabelledFiles(table, predict=table)
        data = LabelledSequenceDataModule(files, split=parts, global_batch_size=4)
    else:
        split = GenomeSplit(Part(contigs=("v1", "v2")), Part(contigs=("t",)), guard=0)
        genome = [str(folder / "g.fa")]
        data = GenomeDataModule(genome, split=split, global_batch_size=4, **reads)
    with torch.no_grad():
        module.model.backbone.embedding.weight.normal_()  # with opinions
    return module, data


def train(folder: Path, devices: int, accelerator: str, case: str, sharing: int) -> None:
    """Leave what was learnt and measured in FOLDER/CASE-P."""
    start, target = folder / f"{case}-{sharing}.ckpt", folder / f"{case}-{sharing}"
    module, data = made(folder, case)
    options, gradients, log = CASES[case][-1], Gradients(), MetricsFile(target)
    trainer = pl.Trainer(
        default_root_dir=target,
        accelerator=accelerator,
        devices=devices,
        strategy=SequenceParallel(sharing) if devices > 1 else "auto",
        max_steps=6,
        val_check_interval=3 * options.get("accumulate_grad_batches", 1),
        check_val_every_n_epoch=None,
        log_every_n_steps=2,
        logger=log,
        callbacks=[gradients, Saver(target)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, data, ckpt_path=start if start.is_file() else None)
    tested = trainer.test(module, data, verbose=False)
    predicted = trainer.predict(module, data)
    write_predictions(target, trainer, predicted, overwrite=True)  # type: ignore[arg-type]
    if trainer.is_global_zero:
        weights = module.state_dict()
        torch.save({**weights, **{f"d {k}": x for k, x in gradients.seen.items()}}, target / "end")
        (target / "tested.json").write_text(json.dumps(tested[0]))


if __name__ == "__main__":
    path, count, kind, *chosen = sys.argv[1:]
    for name, _, pieces in (each.partition(":") for each in chosen):
        train(Path(path), int(count), kind, name, int(pieces))
