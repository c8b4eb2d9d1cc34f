"""``dnamamba fit`` and ``test`` on a configuration with changes, and the row that a run leaves."""

import contextlib
import csv
import gc
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from context_plan import Context, KmersJob, LabelsJob, LanesJob
from plan import changed
from rows import write_row
from work import machine

from dnamamba.cli import main

__all__ = ["arguments", "do_job", "fit", "logged_rate"]

Job = LanesJob | LabelsJob | KmersJob


def do_job(context: Context, job: Job) -> None:
    """Do the job, and leave its row."""
    # Each imports this module, for what is above.
    from context_kmers import kmers
    from context_labels import labels
    from context_lanes import lanes

    kinds: dict[type, Any] = {LanesJob: lanes, LabelsJob: labels, KmersJob: kmers}
    with contextlib.chdir(context.data):
        began = time.monotonic()
        row = kinds[type(job)](job, context)
        seconds = round(time.monotonic() - began, 1)
    kind = job.name.partition(".")[0]
    about = {"kind": kind, **asdict(job), **row, "seconds": seconds, "machine": machine()}
    write_row(context.output, job.name, about)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def fit(
    name: str, config: Path, settings: Mapping[str, Any], context: Context
) -> tuple[Path, dict[str, Any], int]:
    """Train for as many bases as ``context`` says.

    Returns:
        The run's folder, the settings of its data, and its steps.
    """
    whole = changed(yaml.safe_load(config.read_text()), {**settings, **context.set})
    data = whole["data"].get("init_args", whole["data"])
    steps = context.steps(data["length"] * data["global_batch_size"])
    run = context.output / "runs" / name
    more = {**settings, **context.set, "trainer.max_steps": steps}
    if main(["fit", *arguments(config, run, more), "--overwrite"]):
        raise RuntimeError("dnamamba fit failed; the worker's log says why")
    return run, data, steps


def arguments(config: Path, run: Path, settings: Mapping[str, Any]) -> list[str]:
    """Flags of a command."""
    flags = [
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in settings.items()
    ]
    fixed = ["--config", str(config), "--run_dir", str(run), "--trainer.enable_progress_bar=false"]
    return [*fixed, *flags]


def logged_rate(run: Path, column: str) -> float:
    """The median of a column of ``metrics.csv``, without the first, in which kernels compile."""
    with (run / "metrics.csv").open(newline="") as file:
        rates = [float(row[column]) for row in csv.DictReader(file) if row.get(column)]
    return statistics.median(rates[1:] or rates)
