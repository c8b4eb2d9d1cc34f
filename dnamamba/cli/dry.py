"""``--dry-run`` of what trains: what is left out of a run that is tried, and what is said of it.

The run is the real one, so that all its errors come; but it ends after some seconds, and none of
its callbacks and loggers that write is there.
"""

import math
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

from dnamamba.data.modules.resumable import DataPart, ResumableDataModule
from dnamamba.log_lines import brief, lasting
from dnamamba.training.callbacks import MemoryForecast, Trial
from dnamamba.training.memory import readable_bytes

__all__ = ["DryRun", "validations"]

_BATCHES = 4  # of a held-out part
_STAGES = {"fit": "val", "validate": "val", "test": "test", "predict": "predict"}
_PARTS: dict[str, tuple[DataPart, ...]] = {
    "fit": ("train", "validation", "test"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}
# What may write, show itself, or keep a run from ending.
_LEFT_OUT = {
    "logger": False,
    "callbacks": [],
    "profiler": None,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "min_steps": None,
    "min_epochs": None,
}


class DryRun:
    """A command that trains or tests, tried.

    Args:
        command: which.
        trainer: the settings of its trainer; changed in place, so that nothing is written.
    """

    def __init__(self, command: str, trainer: dict[str, Any]) -> None:
        self.command = command
        self._stage = _STAGES[command]
        self._trial = Trial()
        trainer.update(_LEFT_OUT)
        name = f"limit_{self._stage}_batches"
        self._limit = 1.0 if trainer[name] is None else trainer[name]
        few = isinstance(self._limit, int) and self._limit < _BATCHES
        trainer[name] = self._limit if few or not self._limit else _BATCHES

    @property
    def callbacks(self) -> list[pl.Callback]:
        """What the trainer has beside the module's own."""
        memory = [MemoryForecast(Console())] if self.command == "fit" else []
        return [*memory, self._trial]

    def statement(self, trainer: pl.Trainer) -> str:
        """What there is to do, and about how long it will take, when the run has ended."""
        data: Any = getattr(trainer, "datamodule", None)
        lines = []
        if isinstance(data, ResumableDataModule):
            lines += [line for part in _PARTS[self.command] for line in _samples(data, part)]
        batches = self._held_out_batches(trainer, data)
        lines += self._of_fit(trainer, data, batches) if self.command == "fit" else []
        if self.command != "fit" and self._trial.batches:
            about = lasting(batches * self._trial.batch)
            each = f"{batches:,} batches, {brief(self._trial.batch)} each"
            lines.append(f"time: about {about} ({each}, the median of those tried here)")
        if self._trial.peak is not None:
            lines.append(f"memory at its peak here: {readable_bytes(self._trial.peak)}")
        return "\n".join([*lines, "a dry run: nothing was written"])

    def _of_fit(self, trainer: pl.Trainer, data: Any, batches: int) -> Iterator[str]:
        steps, first, trial = trainer.estimated_stepping_batches, self._trial.first, self._trial
        said = "without end, but for trainer.max_time" if math.isinf(steps) else f"{steps:,}"
        said += f", of which {first:,} are done" if first else ""
        if isinstance(data, ResumableDataModule):
            said += f"; {data.steps_of_epoch:,} are an epoch"
        yield f"steps: {said}"
        if not trial.steps:
            yield "time: none, for no step is left"
            return
        measured = f"a step takes {brief(trial.step)}, the median of {len(trial.steps)} tried here"
        if math.isinf(steps):
            yield f"time: {measured}"
            return
        left = int(steps) - first
        seconds = left * trial.step
        if batches and trial.batches and (count := validations(trainer, left)):
            seconds += count * batches * trial.batch
            measured += f"; {count:,} validations of {batches:,} batches, {brief(trial.batch)} each"
        yield f"time: about {lasting(seconds)}, without saving ({measured})"

    def _held_out_batches(self, trainer: pl.Trainer, data: Any) -> int:
        """Of a validation, a test, or what is predicted, as the configuration has it."""
        if data is None or not getattr(trainer, f"limit_{self._stage}_batches"):
            return 0
        loaders = getattr(data, f"{self._stage}_dataloader")()
        each = loaders if isinstance(loaders, list | tuple) else [loaders]
        return sum(_limited(len(loader), self._limit) for loader in each)


def _samples(data: ResumableDataModule, part: DataPart) -> Iterator[str]:
    dataset = data.dataset(part)
    if len(dataset):
        *several, length = dataset.sample_shape
        shape = "".join(f"{n} x " for n in several) + f"{length:,}"
        yield f"{part}: {len(dataset):,} samples of {shape} bases at most"


def _limited(batches: int, limit: float) -> int:
    """As Lightning limits them: a share, or a number."""
    return int(batches * limit) if isinstance(limit, float) else min(batches, int(limit))


def validations(trainer: pl.Trainer, steps: int) -> int:
    """How many belong to so many steps, about: as if these began with an epoch.

    Args:
        trainer: in the configuration of the run.
        steps: of the optimiser.
    """
    every, between = trainer.check_val_every_n_epoch, trainer.val_check_batch
    batches, of_epoch = steps * trainer.accumulate_grad_batches, trainer.num_training_batches
    if between is None or math.isinf(between) or math.isinf(of_epoch):
        return 0
    if every is None:
        return batches // int(between)
    epochs, begun = divmod(batches, int(of_epoch))
    within = begun // int(between) if (epochs + 1) % every == 0 else 0
    return epochs // every * (int(of_epoch) // int(between)) + within
