"""Fine-tuning, of a pretrained model and of the same from scratch: their start alone differs.

The first seed tries every choice of the recipe, each for a share of a whole run, takes the best by
the validation part and runs it whole; the others do as it did. Of each run the weights of its best
validation are kept. The test part is read once, by those of the whole run.
"""

from typing import Any

from dnamamba.benchmark.columns.data import samples
from dnamamba.benchmark.columns.run import Run, Start, tested, trained
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.work import Work
from dnamamba.checkpoint.once import opened
from dnamamba.training.callbacks.non_finite import NonFiniteError

__all__ = ["from_scratch", "pretrained"]


def pretrained(job: Job, work: Work) -> Row:
    """Fine-tune the model, choose by the validation part, and test once."""
    assert job.model is not None
    return _row(job, work, Start(opened(job.model), job.model))


def from_scratch(job: Job, work: Work) -> Row:
    """The same from new weights, by the job's seed."""
    assert job.model is not None
    return _row(job, work, Start(opened(job.model), None))


def _row(job: Job, work: Work, start: Start) -> Row:
    best, tried = _best(job, work, start)
    if best.share < 1:
        best = trained(job, work, best.option, start)
    figures, test = tested(job, work, best)
    return {
        "figures": figures,
        **_said(best),
        "tried": tried,
        "best_step": best.best.step,
        "steps": best.plan.steps,
        "batch": best.plan.batch,
        "samples": samples(best.data, test),
    }


def _best(job: Job, work: Work, start: Start) -> tuple[Run, list[dict[str, Any]]]:
    """The best run of all options by the validation part, and what there is to say of each.

    Raises:
        ValueError: none of them can be validated.
    """
    options = work.recipe.options() if job.chosen is None else [dict(job.chosen)]
    share = work.recipe.trial if len(options) > 1 else 1.0
    best: Run | None = None
    tried: list[dict[str, Any]] = []
    failed = ""
    for option in options:
        try:
            run = trained(job, work, option, start, share)
        except NonFiniteError as error:
            failed = str(error)
            tried.append({"chosen": option, "validation": None, "curve": [], "failed": failed})
            continue
        tried.append(_said(run))
        if run.best.beats(best and best.best):
            best = run
    if best is None:
        reason = failed or "it holds too few samples, or one class alone; hold out more"
        raise ValueError(f"no {job.task.metric} of the validation part to choose by: {reason}")
    return best, tried


def _said(run: Run) -> dict[str, Any]:
    return {
        "chosen": dict(run.option),
        "validation": run.best.value,
        "curve": [list(point) for point in run.best.curve],
    }
