"""A recipe's run on a task, and the row that it leaves: a learning curve on the validation part."""

import logging
import time
import warnings
from dataclasses import replace
from typing import Any

from recipes_plan import PRETRAINED, Run
from rows import write_row

from dnamamba.benchmark.columns.device import released
from dnamamba.benchmark.columns.run import Start, trained
from dnamamba.benchmark.jobs.work import Work, machine
from dnamamba.checkpoint.once import opened
from dnamamba.training.callbacks.non_finite import NonFiniteError

__all__ = ["do_run"]


def do_run(work: Work, run: Run) -> None:
    """Train, and leave the row; nothing is tested.

    Args:
        work: of all runs; each has a recipe of its own.
        run: what to do.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    began = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = _row(replace(work, recipe=run.recipe), run)
    finally:
        released(work.device)
    about = {
        "key": run.job.key,
        "recipe": run.title,
        "task": run.job.task.key,
        "title": run.job.task.title,
        "metric": run.job.task.metric,
        "model": run.model,
        "start": run.start,
        "seed": run.job.seed,
    }
    seconds = round(time.monotonic() - began, 2)
    row = {**about, **row, "seconds": seconds, "machine": machine(work.device)}
    write_row(work.output, run.name, row)


def _row(work: Work, run: Run) -> dict[str, Any]:
    """``validation``, the best, ``best_step``, and ``curve``: [step, metric] of each validation."""
    model = run.job.model
    assert model is not None
    start = Start(opened(model), model if run.start == PRETRAINED else None)
    try:
        done = trained(run.job, work, {}, start)
    except NonFiniteError as error:
        return {"validation": None, "failed": str(error), "curve": []}
    return {
        "validation": done.best.value,
        "best_step": done.best.step,
        "steps": done.plan.steps,
        "batch": done.plan.batch,
        "samples": {
            "train": len(done.data.dataset("train")),
            "validation": len(done.data.dataset("validation")),
        },
        "curve": done.best.curve,
    }
