"""What a run knows of itself for the card of its model: data, recipe, figures, course."""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch

from dnamamba.cards import Base, CardSettings, Facts
from dnamamba.cards.facts import Stamp, data_file, public_name, stamp
from dnamamba.checkpoint import Model
from dnamamba.data.modules.resumable import ResumableDataModule
from dnamamba.data.modules.sources import SourceFile
from dnamamba.model.about import about
from dnamamba.training.callbacks.readable import clock_time, readable
from dnamamba.training.callbacks.summary import RunSummary
from dnamamba.training.metrics_file import MetricsFile

__all__ = ["Exported", "facts_of", "sources_of", "stamps_of"]

_HELD_OUT = "validation/"
# Of the hyper-parameters files, which have a table of their own, and what changes no weight.
_OF_DATA = ("genomes", "species", "files", "predict", "cache_dir", "num_workers", "tokenizer")
_OF_MODEL = ("pretrained", "started_from", "kind", "tokenizer", "compile", "monitor")


class Exported(NamedTuple):
    """The model that a run leaves.

    Attributes:
        model: it.
        step: optimiser steps after which it was so; None where nobody knows.
        monitor: the metric by which that step was chosen; None: it is the last.
        score: this metric's value.
    """

    model: Model
    step: int | None
    monitor: str | None = None
    score: float | None = None


def sources_of(trainer: pl.Trainer) -> list[SourceFile]:
    """The files of the trainer's data; none of a module that does not list them."""
    data = _data(trainer)
    return [] if data is None else data.sources()


def stamps_of(sources: Iterable[SourceFile]) -> dict[Path, Stamp | None]:
    """How files look now, at the price of a look at their folder."""
    return {source.path: stamp(source.path) for source in sources}


def facts_of(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    exported: Exported,
    name: str,
    settings: CardSettings,
    seen: Mapping[Path, Stamp | None],
    base: Base | None,
) -> Facts:
    """All that the card of a run's model tells; reads every data file from end to end, once.

    Args:
        trainer: at the end of its fit.
        module: what it trained.
        exported: the model that is shared.
        name: of the model.
        settings: what no run knows.
        seen: ``stamps_of`` the files when the run had read them.
        base: the model that it started from.
    """
    data = _data(trainer)
    figures = _figures(trainer, exported)
    chosen = f", the best {exported.monitor.removeprefix(_HELD_OUT)}" if exported.monitor else ""
    step = "" if exported.step is None else f", step {exported.step:,}"
    length = getattr(data, "length", None)
    return Facts(
        name=name,
        about=about(exported.model),
        settings=settings,
        files=tuple(
            data_file(source.part, source.path, source.holds, seen.get(source.path))
            for source in sources_of(trainer)
        ),
        parts=() if data is None else tuple(data.summary()),
        recipe=_recipe(trainer, module, data),
        length=getattr(length, "maximum", length),
        figures=figures,
        figures_of=f"validation{step}{chosen}",
        course=dict(_course(trainer, module)),
        base=base,
    )


def _data(trainer: pl.Trainer) -> ResumableDataModule | None:
    data = getattr(trainer, "datamodule", None)
    return data if isinstance(data, ResumableDataModule) else None


def _figures(trainer: pl.Trainer, exported: Exported) -> dict[str, float]:
    """Of the exported step, as the run's log has them; without a log what was last measured."""
    logged = [logger.path for logger in trainer.loggers if isinstance(logger, MetricsFile)]
    rows = _validations(logged[0]) if logged else {}
    if exported.step in rows:
        return rows[exported.step]
    if exported.monitor is None and exported.step == trainer.global_step:
        last = trainer.callback_metrics.items()
        return _held_out((name, float(value)) for name, value in last)
    if exported.monitor is None or exported.score is None:
        return {}
    return _held_out([(exported.monitor, exported.score)])


def _validations(metrics: Path) -> dict[int, dict[str, float]]:
    """Step -> figures of its validation."""
    if not metrics.is_file():
        return {}
    with metrics.open(newline="") as lines:
        rows = [
            (int(row["step"]), _held_out((name, float(x)) for name, x in row.items() if x))
            for row in csv.DictReader(lines)
        ]
    return {step: figures for step, figures in rows if figures}


def _held_out(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Without those that a part has none of, as an ROC curve without one of the classes."""
    return {
        name.removeprefix(_HELD_OUT): value
        for name, value in values
        if name.startswith(_HELD_OUT) and math.isfinite(value)
    }


def _recipe(
    trainer: pl.Trainer, module: pl.LightningModule, data: ResumableDataModule | None
) -> dict[str, Any]:
    named: dict[str, Any] = {
        "model": _set(module.hparams, _OF_MODEL),
        "data": {} if data is None else _set(data.hparams, _OF_DATA),
        "trainer": _set(
            {
                "max_steps": trainer.max_steps if trainer.max_steps >= 0 else None,
                "max_epochs": trainer.max_epochs if trainer.max_steps < 0 else None,
                "precision": trainer.precision,
                "devices": trainer.world_size,
                "accumulate_grad_batches": trainer.accumulate_grad_batches,
                "gradient_clip_val": trainer.gradient_clip_val,
            }
        ),
    }
    if seed := os.environ.get("PL_GLOBAL_SEED"):  # where Lightning keeps it
        named = {"seed_everything": int(seed), **named}
    return {section: values for section, values in named.items() if values != {}}


def _set(values: Mapping[str, Any], aside: tuple[str, ...] = ()) -> dict[str, Any]:
    """What is set, in plain types, without where on the machine anything lay."""
    shown = {name: _shown(value) for name, value in values.items() if name not in aside}
    return {name: value for name, value in shown.items() if not _is_off(value)}


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _set(value)
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return public_name(value) if isinstance(value, str) else value


def _is_off(value: Any) -> bool:
    # Not what is False: many a switch is on unless it is set off.
    return value is None or value == {} or value == []


def _course(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[tuple[str, str]]:
    yield "steps", f"{trainer.global_step:,}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, RunSummary):
            state = callback.state_dict()
            yield "bases read", readable(state["bases"], "bp")
            yield "time", clock_time(state["seconds"])
    where = module.device
    device = torch.cuda.get_device_name(where) if where.type == "cuda" else str(where)
    yield "on", f"{trainer.world_size} x {device}" if trainer.world_size > 1 else device
    yield "with", f"torch {torch.__version__}"
