"""A pretraining: ``dnamamba fit`` itself, then what every genome held out costs the model."""

import contextlib
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fitting import arguments, logged_rate
from model_table import PretrainJob, Work
from rows import write_row

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.jobs.work import machine
from dnamamba.cli import main
from dnamamba.data.modules import GenomeDataModule
from dnamamba.device import best_device
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval
from dnamamba.model import LanguageModel

__all__ = ["do_job"]

DATA = ("length", "global_batch_size", "soft_mask_weight")  # of the settings what a card says
RESERVE = 90  # seconds to measure a model after its training


def do_job(work: Work, job: PretrainJob) -> None:
    """Do the job, and leave its row."""
    device = best_device("auto")
    with contextlib.chdir(work.data):
        began = time.monotonic()
        row = pretrain(job, work, device)
        seconds = round(time.monotonic() - began, 1)
    about = {"kind": "pretrain", **asdict(job), "config": work.models[job.model].config}
    write_row(
        work.output, job.name, {**about, **row, "seconds": seconds, "machine": machine(device)}
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the other workers need it


def pretrain(job: PretrainJob, work: Work, device: str) -> dict[str, Any]:
    """Train, export, and measure."""
    recipe, run = work.models[job.model], work.output / "runs" / job.name
    settings = recipe.settings(work.set)
    _fit(job, work, run)
    last = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    steps = int(last["global_step"])
    model, tokenizer = checkpoint.load(run / "model")
    assert isinstance(model, LanguageModel)
    data = GenomeDataModule(**settings["data"])
    metrics = perplexities(model.to(device), tokenizer, data)
    folder = checkpoint.save(work.folder(job), model, tokenizer, overwrite=True)
    (folder / "metrics.csv").write_bytes((run / "metrics.csv").read_bytes())
    lengths = {name: sum(genome.contigs.values()) for name, genome in data.genomes.items()}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": steps,
        "steps_planned": settings["trainer"]["max_steps"],
        "tokens": steps * settings["data"]["length"] * settings["data"]["global_batch_size"],
        "bases_per_second": logged_rate(run, "train/bases_per_second"),
        "genomes": lengths,
        "settings": {
            "data": {key: settings["data"][key] for key in DATA},
            "model": settings["model"],
            "trainer": settings["trainer"],
        },
        "figures": metrics,
    }


def _fit(job: PretrainJob, work: Work, run: Path) -> None:
    recipe = work.models[job.model]
    left = timedelta(seconds=max(0, round(work.until - time.time()) - RESERVE))
    days, clock = left.days, timedelta(seconds=left.seconds)
    settings = {
        **recipe.set,
        "seed_everything": job.seed,
        "data.seed": job.seed,
        **work.set,
        "ckpt_path": "last",
        "trainer.max_time": f"{days:02}:{clock!s:0>8}",
    }
    if main(["fit", *arguments(recipe.path, run, settings), "--overwrite"]):
        raise RuntimeError("dnamamba fit failed; the worker's log says why")


def perplexities(
    model: LanguageModel, tokenizer: Tokenizer, data: GenomeDataModule
) -> dict[str, float]:
    """Of the validation windows, in fp32: of all of them, and of each genome's.

    What a causal model says of a base, it says given those before it; a model that reads both
    ways given both sides, the base itself hidden (see ``dnamamba.inference.pseudo_likelihood``).
    """
    genomes = list(data.genomes.items())
    pieces: dict[str, list[Interval]] = {}
    for number, contig, start, end in data.plans.places("validation"):
        name, genome = genomes[number]
        piece = Interval(genome, tokenizer, contig, contig, start, end)
        pieces.setdefault(name, []).append(piece)
    nats, bases = {}, {}
    for name, windows in pieces.items():
        scores = evaluate(model, tokenizer, windows, batch_size=256)
        nats[name] = -float(scores.log_likelihood.sum())
        bases[name] = int(scores.bases.sum())
    of_each = {name: float(np.exp(nats[name] / bases[name])) for name in pieces}
    whole = float(np.exp(sum(nats.values()) / sum(bases.values())))
    return {"perplexity": whole, **{f"perplexity {name}": value for name, value in of_each.items()}}
