"""One run of fine-tuning under Lightning, in this process, and its test.

As ``dnamamba fit`` and ``test`` do it, but nothing is written: a run takes seconds, and of its
weights only those of the best validation are wanted, for a moment.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from math import prod
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch

from dnamamba.benchmark.columns.best import BestWeights
from dnamamba.benchmark.columns.data import data_of, is_of_variants
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.recipe import RATE, Plan, Recipe
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.tasks.task import Task, changed
from dnamamba.checkpoint import Opened
from dnamamba.config import MambaConfig
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.spelling import closest
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.finetune_module import FineTuneModule
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.variant_finetune import VariantModule

__all__ = ["Run", "Start", "check_recipe", "tested", "trained"]

# What is held out is read so much at a time: with few rows a GPU does nothing but launch.
_HELD_OUT_BASES, _HELD_OUT_ROWS = 1 << 17, 1024


class Start(NamedTuple):
    """What a run begins with.

    Attributes:
        model: whose configuration and tokenizer are taken.
        pretrained: the same as the user typed it, whose weights are taken, too; None: new ones.
    """

    model: Opened
    pretrained: str | None


class Run(NamedTuple):
    """A run that is over.

    Attributes:
        option: the choice of the recipe by which it was made.
        share: of the steps of a whole run.
        plan: its length.
        data: what it learned.
        module: whose weights are those of the last step.
        best: the best validation, and all of them.
    """

    option: Mapping[str, Any]
    share: float
    plan: Plan
    data: LabelledDataModule
    module: FineTuneModule
    best: BestWeights


def check_recipe(recipe: Recipe, task: Task) -> None:
    """Refuse a recipe with settings that no module of a task has, before anything is trained.

    Raises:
        ValueError: names the setting.
    """
    smallest = {"model": MambaConfig(d_model=1, n_layers=1), "tokenizer": None}
    for option in recipe.options():
        settings = recipe.with_option(option)
        data, _, kind = task.data["class_path"].rpartition(".")
        _check_names("data.init_args", settings, getattr(import_module(data), kind))
        _check_names("trainer", settings, pl.Trainer)
        _check_names("model.init_args", settings, _kind(task))
        try:
            arguments = changed({}, settings.section("model")).get("init_args", {})
            _kind(task)(**{**arguments, **smallest})
        except (TypeError, ValueError) as error:
            raise ValueError(f"recipe: {error}") from error


def trained(
    job: Job, work: Work, option: Mapping[str, Any], start: Start, share: float = 1.0
) -> Run:
    """Train by the recipe with one of its options, for a share of the steps of a whole run.

    Raises:
        ValueError: a setting, the data or the model do not fit, or there is no validation part.
        NonFiniteError: the loss is no number any more.
    """
    recipe = work.recipe.with_option(option)
    data = data_of(job, start.model.tokenizer, recipe.section("data"))
    if not len(data.dataset("validation")):
        raise ValueError(
            f"{job.task.key} has no validation part, by which fine-tuning chooses; give its files, "
            "or a share of the training part (split.validation)"
        )
    plan = recipe.plan(len(data.dataset("train")), share)
    data = _dealt(data, plan, job, "validation")
    pl.seed_everything(job.seed, verbose=False)
    module = _module(job, recipe, plan, start)
    best = BestWeights(*module.monitor)
    trainer = _trainer(
        work.device,
        recipe,
        callbacks=[best],
        max_steps=plan.steps,
        max_epochs=-1,
        val_check_interval=plan.every,
        check_val_every_n_epoch=None,  # counts steps, not epochs
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=data)
    return Run(option, share, plan, data, module, best)


def tested(job: Job, work: Work, run: Run) -> tuple[dict[str, float], LabelledDataModule]:
    """The metrics of a run's best weights on the test part, and the data that were read."""
    recipe = work.recipe.with_option(run.option)
    data = data_of(job, run.module.tokenizer, recipe.section("data"), test=True)
    data = _dealt(data, run.plan, job, "test")
    run.module.load_state_dict(run.best.weights)
    trainer = _trainer(work.device, recipe)
    (metrics,) = trainer.test(run.module, datamodule=data, verbose=False)
    return {name.removeprefix("test/"): value for name, value in metrics.items()}, data


def _module(job: Job, recipe: Recipe, plan: Plan, start: Start) -> FineTuneModule:
    rate = recipe.settings.get(RATE, OptimizerConfig.lr)
    config, tokenizer = start.model.model.config, start.model.tokenizer
    settings = {
        **recipe.section("model"),
        "init_args.optimizer.lr": rate * recipe.width / config.d_model,
        "init_args.optimizer.warmup_steps": plan.warmup,
        "init_args.monitor": job.task.metric,
    }
    arguments = changed({}, settings)["init_args"]
    if tokenizer.mask is None:
        arguments.pop("hide", None)  # there is nothing to hide bases behind
    if start.pretrained is None:
        arguments |= {"model": config, "tokenizer": tokenizer}
    else:
        arguments["pretrained"] = start.pretrained
    module: Any = _kind(job.task)(**arguments)
    module.reports = False  # a row, not a folder of files
    return module


def _kind(task: Task) -> Any:
    return VariantModule if is_of_variants(task) else ClassificationModule


def _check_names(section: str, recipe: Recipe, of: Any) -> None:
    known = inspect.signature(of).parameters
    first, _, rest = section.partition(".")
    for key in recipe.section(first):
        name = key.removeprefix(f"{rest}.").partition(".")[0]
        if name not in known:
            near = closest(name, known)
            meant = f"; did you mean {section}.{near}?" if near else ""
            raise ValueError(f"recipe: {of.__name__} has no {section}.{name}{meant}")


def _trainer(device: str, recipe: Recipe, **settings: Any) -> pl.Trainer:
    target = torch.device(device)
    on_gpu = target.type == "cuda"
    defaults = {
        "accelerator": {"cuda": "gpu"}.get(target.type, target.type),
        "devices": [target.index or 0] if on_gpu else 1,
        "precision": "bf16-mixed" if on_gpu else "32-true",
        "logger": False,
        "log_every_n_steps": 0,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**{**defaults, **changed({}, recipe.section("trainer")), **settings})


def _dealt(
    data: LabelledDataModule, plan: Plan, job: Job, held_out: DataPart
) -> LabelledDataModule:
    data = data.dealt(plan.batch, job.seed)
    fitting = _HELD_OUT_BASES // max(1, prod(data.dataset(held_out).sample_shape))
    data.held_out_batch_size = max(1, min(_HELD_OUT_ROWS, fitting))
    return data
