"""``Job``: one row to be made, of one task in one column."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnamamba.benchmark.tasks.task import Task

__all__ = ["FIRST_SEED", "Job", "Row"]

FIRST_SEED = 1
"""That of the runs that try the recipe's choices, and of columns in which nothing is random."""

Row = dict[str, Any]
"""What a job leaves behind, in plain values; see ``dnamamba.benchmark.columns.measured``."""


@dataclass(frozen=True)
class Job:
    """One row to be made; ``dnamamba.benchmark.columns.job_of`` makes one.

    Two jobs are equal, and have one hash, if they lead to the same row.

    Attributes:
        key: text of everything that decides the row: the task's declaration and data, the column
            and its version, the model's weights, the recipe, seed and fold.
        task: what is to be told apart.
        column: of ``dnamamba.benchmark.columns.COLUMNS``.
        root: folder of the task's files.
        model: as the user typed it; None where the column is of no model.
        seed: of all that is random.
        fold: of a cross-validation.
        choice: number of the recipe's option that this trial is of; None: a whole run.
        after: keys of the jobs whose rows it needs: of the first seed the trials, of the others
            the first.
        rows: these rows, in this order, once they are there; the best of them says what to choose.
    """

    key: str
    task: Task = field(compare=False)
    column: str = field(compare=False)
    root: Path = field(compare=False)
    model: str | None = field(default=None, compare=False)
    seed: int = field(default=FIRST_SEED, compare=False)
    fold: int = field(default=0, compare=False)
    choice: int | None = field(default=None, compare=False)
    after: tuple[str, ...] = field(default=(), compare=False)
    rows: tuple[Row, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """What it is called, and no other."""
        return self.called(self.model)

    def called(self, model: str | None) -> str:
        """What it is called where its model is ``model``."""
        parts = [self.task.key, self.column, model, f"seed {self.seed}"]
        if self.task.folds > 1:
            parts.append(f"fold {self.fold}")
        if self.choice is not None:
            parts.append(f"choice {self.choice + 1}")
        return ", ".join(filter(None, parts))
