"""A pretraining: ``dnamamba fit`` itself, then the perplexity of every species held out."""

import csv
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plan import ROOT, Job, changed, configuration
from work import Work

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.data.modules import GenomeDataModule
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval
from dnamamba.model import LanguageModel

__all__ = ["pretrain"]

CONFIG = "pretrain.yaml"
CALIBRATION = 60  # steps by which the throughput is measured
RESERVE = 25  # seconds to measure a model after its training
RATE = "train/bases_per_second"


def pretrain(job: Job, work: Work) -> dict[str, Any]:
    """Train, export, and measure."""
    run = work.output / "runs" / job.name
    settings = changed(configuration(CONFIG), work.set)
    bases_per_step = int(settings["data"]["length"] * settings["data"]["global_batch_size"])
    tokens = work.pretrain_tokens.get(job.size)
    if tokens is None:
        trial = run.with_name(f"{run.name}.calibration")
        _fit(job, work, trial, CALIBRATION, "--trainer.limit_val_batches=0")
        rate = float(np.median(logged(trial / "metrics.csv", RATE)[1:]))
        tokens = work.pretrain_seconds[job.size] * rate
    steps = max(1, int(tokens / bases_per_step))
    left = timedelta(seconds=max(0, round(work.until - time.time()) - RESERVE))
    days, clock = left.days, timedelta(seconds=left.seconds)
    _fit(job, work, run, steps, "--ckpt_path=last", f"--trainer.max_time={days:02}:{clock!s:0>8}")
    last = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    done = int(last["global_step"])
    model, tokenizer = checkpoint.load(run / "model")
    assert isinstance(model, LanguageModel)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    metrics = perplexities(model, tokenizer, GenomeDataModule(**settings["data"]))
    folder = checkpoint.save(work.model(job), model, tokenizer, overwrite=True)
    (folder / "metrics.csv").write_bytes((run / "metrics.csv").read_bytes())
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": done,
        "steps_planned": steps,
        "tokens": done * bases_per_step,
        "bases_per_second": float(np.median(logged(run / "metrics.csv", RATE))),
        "figures": metrics,
    }


def _fit(job: Job, work: Work, run: Path, steps: int, *more: str) -> None:
    size = work.table.sizes[job.size]
    arguments = [
        *("--config", str(ROOT / "configs" / "results" / CONFIG)),
        *("--run_dir", str(run), "--overwrite", f"--seed_everything={job.seed}"),
        *(f"--data.seed={job.seed}", f"--model.optimizer.lr={size.pretrain_lr}"),
        *(f"--model.model.{name}={value}" for name, value in size.model.items()),
        *(f"--{key}={_written(value)}" for key, value in work.set.items()),
        *(f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={max(1, steps // 4)}"),
        "--trainer.enable_progress_bar=false",
    ]
    if main(["fit", *arguments, *more]):
        raise RuntimeError("dnamamba fit failed; the worker's log says why")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def logged(metrics: Path, column: str) -> list[float]:
    """A column of ``metrics.csv``, without its empty cells."""
    with metrics.open(newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)]


def perplexities(
    model: LanguageModel, tokenizer: Tokenizer, data: GenomeDataModule
) -> dict[str, float]:
    """Of the validation windows, in fp32: of all of them, and of each genome's."""
    genomes = list(data.genomes.items())
    pieces: dict[str, list[Interval]] = {}
    for number, contig, start, end in data.plans.places("validation"):
        name, genome = genomes[number]
        piece = Interval(genome, tokenizer, contig, contig, start, end)
        pieces.setdefault(name, []).append(piece)
    nats, bases = {}, {}
    for name, those in pieces.items():
        scores = evaluate(model, tokenizer, those, batch_size=256)
        nats[name] = -float(scores.log_likelihood.sum())
        bases[name] = int(scores.bases.sum())
    of_each = {name: float(np.exp(nats[name] / bases[name])) for name in pieces}
    whole = float(np.exp(sum(nats.values()) / sum(bases.values())))
    return {"perplexity": whole, **{f"perplexity {name}": value for name, value in of_each.items()}}
