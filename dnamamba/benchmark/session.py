"""One benchmark from what is asked for to the files that it leaves."""

import sys
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from dnamamba.benchmark import checks
from dnamamba.benchmark.asked import Asked
from dnamamba.benchmark.columns.data import data_of
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.jobs.work import Work, machine
from dnamamba.benchmark.runs.dispatch import store_of
from dnamamba.benchmark.runs.plan import Plan, plan
from dnamamba.benchmark.runs.pool import prepare
from dnamamba.benchmark.runs.rounds import LOGS, run_missing
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.runs.workers import IN_THIS_PROCESS, cores, workers_for
from dnamamba.benchmark.table.fill import filled
from dnamamba.benchmark.table.markdown import notes
from dnamamba.benchmark.table.results import FILES, write_settings, write_table
from dnamamba.benchmark.table.shown import Progress, print_table, quiet
from dnamamba.benchmark.wanted import wanted
from dnamamba.data.genome.places import default_cache_dir
from dnamamba.device import best_device
from dnamamba.version import installed_version

__all__ = ["run"]


def run(asked: Asked, output: Path) -> None:
    """Check everything, do what is missing, write and print the table.

    Args:
        asked: what for.
        output: a folder that is this process's.

    Raises:
        ValueError: see ``benchmark``.
    """
    protocols = checks.check_protocols(asked.protocols)
    recipe = Recipe.read(Path(asked.recipe) if asked.recipe else None, asked.changes)
    device = best_device(asked.device)
    workers = workers_for(device, asked.workers)
    if workers != IN_THIS_PROCESS:
        prepare()
    models = checks.check_models(asked.models)
    what = wanted(asked.tasks, asked.data, asked.folds)
    for reason in what.skipped.values():
        print(f"left out: {reason}", file=sys.stderr)
    work = Work(recipe, device, output, default_cache_dir(), max(1, cores() // sum(workers)))
    store = store_of(work)
    with quiet():
        planned = plan(what.entries, models, asked.seeds, protocols, recipe)
        store.read(planned.order)
        _check_data(planned, store)
        write_settings(output, asked)
        progress = Progress(planned, store, output / LOGS)
        progress.begin(len(planned.entries), workers)
        outcomes = run_missing(planned, store, work, workers, asked.seconds)
        with closing(outcomes), progress.told_if_stopped(), progress.told_while_waiting():
            for outcome in outcomes:
                progress.show(outcome)
    _finish(planned, store, work, asked, what.skipped, progress)


def _finish(
    planned: Plan,
    store: Store,
    work: Work,
    asked: Asked,
    skipped: Mapping[str, str],
    progress: Progress,
) -> None:
    """Write the files, print the table, and say what is missing.

    Raises:
        ValueError: runs failed.
    """
    table = filled(planned, store, progress.failed)
    rows = [row for job in planned.order if (row := store.row(job.key)) is not None]
    about = {
        "dnamamba": installed_version(),
        "machine": machine(work.device),
        "recipe": asdict(work.recipe),
        "not at hand": dict(skipped),
        "failed": progress.failed,
    }
    write_table(work.output, f"Benchmark: {', '.join(asked.tasks)}", table, rows, about)
    print_table(table)
    for note in notes(table):
        print(f"- {note}")
    print(f"{work.output}: {', '.join(FILES)}; a row a run in rows/")
    if progress.failed:
        raise ValueError(
            f"{len(progress.failed)} of {len(planned.order)} runs failed, by their names in "
            f"{work.output / LOGS}; the same command tries them, and what waited for them, again"
        )
    if left := len(planned.missing(store)):
        print(f"{left} runs are left; the same command goes on")


def _check_data(planned: Plan, store: Store) -> None:
    """Read the files of every task that is not done: a wrong record is an error at once."""
    waiting = {job.task.key: job for job in planned.missing(store) if job.fold == 0}
    for key, job in waiting.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            data_of(job)
        for warning in caught:
            print(f"warning: {key}: {warning.message}", file=sys.stderr)
