"""A pretraining by windows or by lanes, and its bits per base against the distance."""

from typing import Any

import torch
from context_data import contigs_of
from context_distance import by_distance
from context_plan import CONFIGS, Context, LanesJob
from context_runs import fit
from fitting import logged_rate

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.inference.intervals import Interval

__all__ = ["lanes"]

LONGER = 1.1  # than the last bin's beginning is every contig that is read


def lanes(job: LanesJob, context: Context) -> dict[str, Any]:
    """Train, and read what is held out."""
    config = CONFIGS / f"lanes-{job.group}.yaml"
    settings = {"data.rows": job.rows, "data.seed": job.seed, "seed_everything": job.seed}
    run, data, steps = fit(job.name, config, settings, context)
    model, tokenizer = checkpoint.load(run / "model")
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    contigs = list(_held_out(job.group, tokenizer, context))
    trained = contigs_of(context.data, job.group, held_out=False)
    bases = sum(genome.contigs[contig] for genome, contig in trained)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": steps,
        "bases": steps * data["length"] * data["global_batch_size"],
        "window": data["length"],
        "batch": data["global_batch_size"],
        "bases_a_lane": bases // data["global_batch_size"],
        "bases_per_second": logged_rate(run, "train/bases_per_second"),
        "contigs": [contig.contig for contig in contigs],
        "lengths": [len(contig) for contig in contigs],
        "bins": by_distance(model, tokenizer, contigs, context.reach, data["length"]),
    }


def _held_out(group: str, tokenizer: Tokenizer, context: Context) -> Any:
    for genome, contig in contigs_of(context.data, group, held_out=True):
        if (length := genome.contigs[contig]) >= LONGER * context.reach:
            yield Interval(genome, tokenizer, contig, contig, 0, length)
