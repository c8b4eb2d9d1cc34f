"""The columns of a benchmark, in their order: one file each way to measure."""

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dnamamba.benchmark.columns.data import is_of_variants
from dnamamba.benchmark.columns.device import released
from dnamamba.benchmark.columns.finetuned import from_scratch, pretrained
from dnamamba.benchmark.columns.frozen import initialised, trained
from dnamamba.benchmark.columns.kmers import baseline
from dnamamba.benchmark.columns.run import check_recipe
from dnamamba.benchmark.columns.zero_shot import untrained
from dnamamba.benchmark.jobs.job import FIRST_SEED, Job, Row
from dnamamba.benchmark.jobs.models import identity
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.tasks.task import Task

__all__ = ["COLUMNS", "Column", "check_recipe", "job_of", "measured"]

Protocol = Literal["baseline", "frozen", "fine-tuned", "zero-shot"]
Measure = Callable[[Job, Work], Row]


@dataclass(frozen=True)
class Column:
    """A way to measure how well a task is solved.

    Attributes:
        title: of the column; ``{model}`` stands for the model.
        measure: makes the row of a job, but for what ``measured`` adds.
        protocol: what it belongs to.
        version: counts the changes that made rows of before incomparable.
        of: what a row depends on beside the task: nothing (``data``), the configuration that
            models of the same sizes share (``sizes``), or their weights.
        seeded: whether another seed gives another row.
        for_variants: whether it is for tasks of variants alone.
    """

    title: str
    measure: Measure
    protocol: Protocol
    version: int
    of: Literal["data", "sizes", "weights"]
    seeded: bool
    for_variants: bool = False

    @property
    def per_model(self) -> bool:
        """Whether there is one for each model; of models of equal sizes one for ``sizes``."""
        return self.of != "data"

    @property
    def on_device(self) -> bool:
        """Whether the device of the ``Work`` does most of it, if that is a GPU.

        A frozen model has read a task in a second; to learn from its vectors takes a core minutes.
        """
        return self.per_model and self.protocol != "frozen"

    @property
    def chooses(self) -> bool:
        """Whether there are choices, which the first seed of each fold makes for the others."""
        return self.protocol == "fine-tuned"

    def is_for(self, task: Task, root: Path) -> bool:
        """Whether a task has such a row: fine-tuning needs its training part.

        Args:
            task: the task.
            root: folder of its files.
        """
        if self.for_variants and not is_of_variants(task):
            return False
        return self.protocol != "fine-tuned" or not task.lacks_training(root)


COLUMNS: dict[str, Column] = {
    "kmers": Column("k-mers", baseline, "baseline", 1, "data", False),
    "random": Column("random, frozen", initialised, "frozen", 1, "sizes", True),
    "scratch": Column("from scratch", from_scratch, "fine-tuned", 1, "sizes", True),
    "frozen": Column("{model}, frozen", trained, "frozen", 1, "weights", False),
    "model": Column("{model}", pretrained, "fine-tuned", 1, "weights", True),
    "zero_shot": Column("{model}, zero-shot", untrained, "zero-shot", 1, "weights", False, True),
}
"""Every column, in the order of a table."""


def job_of(
    task: Task,
    column: str,
    root: Path,
    recipe: Recipe,
    model: str | None = None,
    seed: int = FIRST_SEED,
    fold: int = 0,
    choice: int | None = None,
) -> Job:
    """A job, with its key; reads the task's files and the model for it, once in a process.

    The trial of a choice is one that all recipes with this option and the same lengths share.

    Args:
        task: what is to be told apart.
        column: of ``COLUMNS``.
        root: folder of the task's files.
        recipe: of fine-tuning.
        model: as the user typed it; not for a column that is of no model.
        seed: of what is random; ``FIRST_SEED`` where nothing is.
        fold: of a cross-validation.
        choice: number of the recipe's option that is to be tried; None: a whole run.

    Raises:
        ValueError: the model cannot be read, or a file of the task is damaged.
    """
    kind = COLUMNS[column]
    assert (model is not None) == kind.per_model
    assert kind.seeded or seed == FIRST_SEED
    assert choice is None or (kind.chooses and seed == FIRST_SEED)
    parts = [task.key, task.digest(root), f"{column} {kind.version}"]
    if model is not None:
        parts.append(getattr(identity(model), kind.of))

    def key(of: int, choice: int | None) -> str:
        tuned = [_settings(recipe, choice)] if kind.chooses else []
        return " ".join([*parts, *tuned, f"fold {fold}", f"seed {of}"])

    after: tuple[str, ...] = ()
    if kind.chooses and seed != FIRST_SEED:
        after = (key(FIRST_SEED, None),)
    elif kind.chooses and choice is None and (options := len(recipe.options())) > 1:
        after = tuple(key(FIRST_SEED, i) for i in range(options))
    return Job(key(seed, choice), task, column, root, model, seed, fold, choice, after)


def _settings(recipe: Recipe, choice: int | None) -> str:
    """What a key says of the recipe."""
    if choice is None:
        return recipe.digest
    return f"trial {recipe.with_option(recipe.options()[choice]).digest}"


def measured(job: Job, work: Work) -> Row:
    """Make the row of a job.

    A job of a column that chooses needs its ``rows`` first, unless it is a trial.

    Returns:
        ``metric``, the task's; ``figures``, name -> value on the test part, that of the metric
        among them; ``samples``, part -> number; ``seconds``; and what the column adds:
        ``validation``, the metric there; ``chosen``; ``curve``, [step, metric] of each
        validation; ``tried``, the same three of every choice. A trial's has these three, without
        ``figures``, or ``failed``, where its loss is no number any more.

    Raises:
        ValueError: the task's data or the model do not fit.
    """
    began = time.monotonic()
    _quiet()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = COLUMNS[job.column].measure(job, work)
    finally:
        released(work.device)
    return {"metric": job.task.metric, **row, "seconds": round(time.monotonic() - began, 2)}


def _quiet() -> None:
    """No advice of Lightning's, in a log of many short runs."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
