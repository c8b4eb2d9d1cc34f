"""A fine-tuning for the species of a window, tested on what is held out."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from context_data import spanning
from context_plan import CONFIGS, Context, LabelsJob
from context_runs import fit
from fitting import arguments, logged_rate

from dnamamba.cli import main

__all__ = ["CONFIG", "data_settings", "labels"]

CONFIG = CONFIGS / "species-context.yaml"
DATA, MODEL = "data.init_args", "model.init_args"


def data_settings(length: int, batch: int) -> dict[str, Any]:
    """What windows of a length set otherwise in the configuration's data."""
    return {
        f"{DATA}.length": length,
        f"{DATA}.global_batch_size": batch,
        f"{DATA}.windows.stride": length // 4,
    }


def labels(job: LabelsJob, context: Context) -> dict[str, Any]:
    """Train for so many bases, and test the last weights."""
    settings = {
        **data_settings(job.length, job.batch),
        f"{DATA}.seed": job.seed,
        f"{MODEL}.recompute": job.recompute,
        "seed_everything": job.seed,
    }
    memory = context.output / "runs" / f"{job.name}.memory.json"
    measuring = {"class_path": "context_peak.PeakMemory", "init_args": {"path": str(memory)}}
    watched = {**settings, "trainer.callbacks": [measuring]}
    run, data, steps = fit(job.name, CONFIG, watched, context)
    peak = json.loads(memory.read_text())
    testing = {**settings, **context.set, "ckpt_path": "last"}
    if main(["test", *arguments(CONFIG, run, testing)]):
        raise RuntimeError("dnamamba test failed; the worker's log says why")
    right, windows = _counts(run)
    return {
        "batch": data["global_batch_size"],
        "steps": steps,
        "bases": steps * data["length"] * data["global_batch_size"],
        "recompute": job.recompute,
        "peak_bytes": peak["steps"],
        "peak_bytes_before": peak["before"],
        "bases_per_second": logged_rate(run, "train/samples_per_second") * job.length,
        "figures": _figures(run),
        "right": {name: right[name] for name in windows},
        "windows": dict(windows),
        "spanning": spanning(context.data, job.length),
    }


def _figures(run: Path) -> dict[str, float]:
    tested = json.loads((run / "test.json").read_text())
    return {name: value for name, value in tested.items() if isinstance(value, float)}


def _counts(run: Path) -> tuple[Counter[str], Counter[str]]:
    """Windows of each species that are told right, and all of them."""
    rows = _predictions(run)
    right = Counter(row["label"] for row in rows if row["label"] == row["predicted"])
    return right, Counter(row["label"] for row in rows)


def _predictions(run: Path) -> list[dict[str, str]]:
    (path,) = run.glob("predictions.*")
    if path.suffix == ".tsv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))
    from pyarrow import parquet

    rows: list[dict[str, str]] = parquet.read_table(
        path, columns=["label", "predicted"]
    ).to_pylist()
    return rows
