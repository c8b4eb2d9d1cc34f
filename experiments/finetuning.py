"""A fine-tuning: the project's modules under Lightning, as ``dnamamba fit`` and ``test`` do it.

In this process, not by the command line: a run takes seconds, and a worker reads its data once.
"""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from plan import PRETRAINED, Job, Task, changed
from pytorch_lightning.callbacks import ModelCheckpoint
from work import Work

from dnamamba.training.checkpoint_io import AtomicCheckpointIO

__all__ = ["data_of", "finetune"]


def finetune(job: Job, work: Work) -> dict[str, Any]:
    """Train, choose the weights on the validation part, and test them once."""
    task, size = work.table.tasks[job.task], work.table.sizes[job.size]
    rate = job.rate * size.lr_scale
    settings = task.settings(task.fold(job.fold))
    validations = settings["trainer"]["max_steps"] // settings["trainer"]["val_check_interval"]
    every = max(1, round(settings["trainer"]["val_check_interval"] * work.steps))
    settings["trainer"] |= {"max_steps": every * validations, "val_check_interval": every}
    changed(settings, {"model.init_args.optimizer.lr": rate, **work.set})
    begin: dict[str, Any] = {"pretrained": None, "model": size.model}
    if job.start == PRETRAINED:
        begin = {"pretrained": str(work.model(job)), "model": None}
    pl.seed_everything(job.seed, verbose=False)
    module = built(settings["model"], **begin)
    module.reports = False  # a row, not a folder of files
    data = data_of(task, job.fold)
    data.seed = job.seed
    with tempfile.TemporaryDirectory() as folder:
        monitor, mode = module.monitor
        best = ModelCheckpoint(
            folder, monitor=monitor, mode=mode, save_weights_only=True,
            save_on_train_epoch_end=False,
        )  # fmt: skip
        trainer = pl.Trainer(
            **settings["trainer"], devices=1, callbacks=[best], plugins=[AtomicCheckpointIO()],
            default_root_dir=folder, logger=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
        weights, validation = best.best_model_path, best.best_model_score
        assert validation is not None
        test = data_of(task, job.fold, test=True)
        (metrics,) = trainer.test(module, datamodule=test, ckpt_path=weights, verbose=False)
    return {
        "metric": task.metric,
        "learning_rate": rate,
        "steps": settings["trainer"]["max_steps"],
        "best_step": int(Path(weights).stem.rpartition("step=")[2]),
        "validation": float(validation),
        "figures": {name.removeprefix("test/"): value for name, value in metrics.items()},
        "samples": {
            "train": len(data.dataset("train")),
            "validation": len(data.dataset("validation")),
            "test": len(test.dataset("test")),
        },
    }


_READ: dict[str, Any] = {}


def data_of(task: Task, fold: int = 0, test: bool = False) -> Any:
    """The data module of a task, read once in a worker; ``seed`` is the caller's to set."""
    changes = {**task.fold(fold), **(task.test if test else {})}
    section = task.settings(changes)["data"]
    key = repr(section)
    if key not in _READ:
        _READ[key] = built(section)
    return _READ[key]


def built(section: dict[str, Any], **changes: Any) -> Any:
    """The class that a section of a configuration names, with its arguments."""
    home, _, name = section["class_path"].rpartition(".")
    return getattr(import_module(home), name)(**{**section["init_args"], **changes})
