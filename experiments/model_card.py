"""The small pretrained models as folders of the package, each with its card."""

import json
import math
import textwrap
from pathlib import Path
from string import Template
from typing import Any

from model_table import PretrainJob, Work
from places import ROOT
from rows import RESULTS

from dnamamba import checkpoint
from dnamamba.files import replacing

__all__ = ["HOME", "package"]

CARD = Path(__file__).with_name("model_card.md")
HOME = ROOT / "dnamamba" / "pretrained"
WIDTH = 100

SPECIES = {
    "hg38": "human", "rheMac3": "rhesus", "mm10": "mouse", "rn6": "rat", "oryCun2": "rabbit",
    "canFam3": "dog", "bosTau8": "cow", "loxAfr3": "elephant", "echTel2": "tenrec",
    "dasNov3": "armadillo", "monDom5": "opossum", "galGal4": "chicken",
}  # fmt: skip

# What a reader must know of either kind of model, and of the figures of its card.
CAUSAL = {
    "kind": "causal Mamba-1",
    "predicted": "the next base",
    "measured": "The next base",
    "limits": "A base is seen in the light of those before it alone: embed or score both strands.",
}
MASKED = {
    "kind": "bidirectional Mamba-1",
    "predicted": "hidden bases from both sides",
    "measured": "A hidden base given both its sides, one base of 16 hidden at a time,",
    "limits": "Its scores are pseudo-log-likelihoods, each base given all others: they and the "
    "figures above are not to be compared with a causal model's. It generates nothing.",
}


def package(work: Work, job: PretrainJob, home: Path = HOME) -> Path:
    """Copy a pretrained model from the output folder, and write its card, from its collected row.

    Returns:
        The folder.

    Raises:
        ValueError: the row has not been collected.
    """
    row = json.loads((RESULTS / "models.json").read_text()).get(job.name)
    if row is None:
        raise ValueError(f"{RESULTS / 'models.json'} has no row {job.name}; collect it first")
    model, tokenizer = checkpoint.load(work.folder(job))
    about = {
        "name": job.model,
        "data": f"orthologous pieces of {_genomes(row)}",
        "tokens": row["tokens"],
        "seed": job.seed,
        "validation/perplexity": row["figures"]["perplexity"],
    }
    folder = checkpoint.save(home / job.model, model, tokenizer, metadata=about, overwrite=True)
    words = CAUSAL if model.backbone.causal else MASKED
    text = card(job, row, words, work.models[job.model].set)
    with replacing(folder / "README.md") as file:
        file.write(text.encode())
    return folder


def card(
    job: PretrainJob, row: dict[str, Any], words: dict[str, str], changes: dict[str, Any]
) -> str:
    """The card of a model.

    Args:
        job: names model and seed.
        row: that its run left.
        words: of its kind.
        changes: what it sets otherwise in its configuration.
    """
    data, model = row["settings"]["data"], row["settings"]["model"]
    metrics = dict(row["figures"])
    whole = metrics.pop("perplexity")
    text = Template(CARD.read_text()).substitute(
        words,
        name=job.model,
        seed=job.seed,
        config=row["config"],
        changes=f", as `experiments/models.yaml` has it for `{job.model}`" if changes else "",
        parameters=f"{row['parameters']:,}",
        d_model=model["model"]["d_model"],
        count=len(row["genomes"]),
        megabases=f"{sum(row['genomes'].values()) / 1e6:,.0f}",
        genomes=", ".join(f"{SPECIES.get(name, name)} ({name})" for name in row["genomes"]),
        length=f"{data['length']:,}",
        batch=data["global_batch_size"],
        steps=f"{row['steps']:,}",
        read=f"{row['tokens'] / 1e6:,.0f}",
        lr=model["optimizer"]["lr"],
        min_lr_ratio=model["optimizer"]["min_lr_ratio"],
        soft_mask_weight=data["soft_mask_weight"],
        precision=row["settings"]["trainer"]["precision"],
        device=row["machine"]["device"],
        torch=row["machine"]["torch"],
        seconds=f"{row['seconds']:.0f}",
        perplexity=f"{whole:.3f}",
        bits=f"{math.log2(whole):.3f}",
        species="\n".join(
            f"| {name.removeprefix('perplexity ')} | {value:.3f} | {math.log2(value):.3f} |"
            for name, value in metrics.items()
        ),
    )
    return "\n\n".join(map(_folded, text.split("\n\n")))


def _folded(paragraph: str) -> str:
    """One of prose in lines that can be read; code, tables and lists as they are."""
    if not paragraph.startswith("**"):
        return paragraph
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)


def _genomes(row: dict[str, Any]) -> str:
    bases = sum(row["genomes"].values())
    return f"{len(row['genomes'])} vertebrate genomes, {bases / 1e6:,.0f} Mb"
