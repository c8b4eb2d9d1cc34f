"""Fine-tuning, of a pretrained model and of the same from scratch: their start alone differs.

Every choice of the recipe has a trial, a job of its own for a share of a whole run. The first seed
takes the best of them by the validation part and runs it whole; the others do as it did. Of each
run the weights of its best validation are kept. The test part is read once, by a whole run's.
"""

import math
from collections.abc import Mapping
from typing import Any

from dnamamba.benchmark.columns.data import samples
from dnamamba.benchmark.columns.run import Run, Start, tested, trained
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.work import Work
from dnamamba.checkpoint.once import opened
from dnamamba.model.heads import HIGHER_IS_BETTER
from dnamamba.training.callbacks.non_finite import NonFiniteError

__all__ = ["from_scratch", "pretrained"]

_SAID = ("chosen", "validation", "curve", "failed")  # of a trial


def pretrained(job: Job, work: Work) -> Row:
    """Fine-tune the model, choose by the validation part, and test once."""
    assert job.model is not None
    return _row(job, work, Start(opened(job.model), job.model))


def from_scratch(job: Job, work: Work) -> Row:
    """The same from new weights, by the job's seed."""
    assert job.model is not None
    return _row(job, work, Start(opened(job.model), None))


def _row(job: Job, work: Work, start: Start) -> Row:
    if job.choice is not None:
        return _trial(job, work, start, job.choice)
    try:
        run = trained(job, work, _chosen(job, work), start)
    except NonFiniteError as error:
        raise _undefined(job, str(error)) from error
    if math.isnan(run.best.value):
        raise _undefined(job)
    figures, test = tested(job, work, run)
    return {
        "figures": figures,
        **_said(run),
        "tried": [_said(run)] if len(job.rows) < 2 else [_tried(row) for row in job.rows],
        "best_step": run.best.step,
        "steps": run.plan.steps,
        "batch": run.plan.batch,
        "samples": samples(run.data, test),
    }


def _trial(job: Job, work: Work, start: Start, choice: int) -> Row:
    """A row without figures: what is said of a choice, a loss that is no number included."""
    option = work.recipe.options()[choice]
    try:
        run = trained(job, work, option, start, work.recipe.trial)
    except NonFiniteError as error:
        return {"chosen": option, "validation": None, "curve": [], "failed": str(error)}
    return _said(run)


def _chosen(job: Job, work: Work) -> Mapping[str, Any]:
    """The option of the best row that it comes after, of equal ones the first.

    Raises:
        ValueError: none of them could be validated.
    """
    if not job.rows:
        (option,) = work.recipe.options()
        return option
    valid = [row for row in job.rows if _is_number(row["validation"])]
    if not valid:
        failed = [row["failed"] for row in job.rows if "failed" in row]
        raise _undefined(job, failed[-1] if failed else "")
    sign = 1 if HIGHER_IS_BETTER[job.task.metric] else -1
    chosen: Mapping[str, Any] = max(valid, key=lambda row: sign * row["validation"])["chosen"]
    return chosen


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _undefined(job: Job, failed: str = "") -> ValueError:
    reason = failed or "it holds too few samples, or one class alone; hold out more"
    return ValueError(f"no {job.task.metric} of the validation part to choose by: {reason}")


def _said(run: Run) -> dict[str, Any]:
    return {
        "chosen": dict(run.option),
        "validation": run.best.value,
        "curve": [list(point) for point in run.best.curve],
    }


def _tried(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _SAID if name in row}
