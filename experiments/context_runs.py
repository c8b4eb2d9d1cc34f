"""``dnamamba fit`` and ``test`` on a configuration with changes, and the row that a run leaves."""

import contextlib
import gc
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from context_plan import Context, KmersJob, LabelsJob, LanesJob
from fitting import arguments
from rows import write_row

from dnamamba.benchmark.jobs.work import machine
from dnamamba.benchmark.tasks.task import changed
from dnamamba.cli import main
from dnamamba.device import best_device

__all__ = ["do_job", "fit"]

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
    about = {"kind": kind, **asdict(job), **row, "seconds": seconds}
    write_row(context.output, job.name, {**about, "machine": machine(best_device("auto"))})
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
