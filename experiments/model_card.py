"""The small pretrained model as a folder of the package, with its card."""

import json
from pathlib import Path
from string import Template
from typing import Any

from plan import ROOT, Job, Size, Table, configuration
from render import species
from rows import RESULTS

from dnamamba import checkpoint
from dnamamba.files import replacing

__all__ = ["NAME", "package"]

NAME = "vertebrate-0.5m"
CARD = Path(__file__).with_name("model_card.md")


def package(output: Path, seed: int, home: Path = ROOT / "dnamamba" / "pretrained") -> Path:
    """Copy a pretrained model of the small size from the output folder, and write its card.

    Returns:
        The folder.
    """
    name, size = next(iter(Table.read().sizes.items()))
    row = json.loads((RESULTS / "rows.json").read_text())[Job("pretrain", name, seed).name]
    model, tokenizer = checkpoint.load(output / "pretrained" / f"{name}-seed{seed}")
    about = {
        "name": NAME,
        "data": "orthologous pieces of six vertebrate genomes, 119 Mb",
        "tokens": row["tokens"],
        "seed": seed,
        "validation/perplexity": row["figures"]["perplexity"],
    }
    folder = checkpoint.save(home / NAME, model, tokenizer, metadata=about, overwrite=True)
    with replacing(folder / "README.md") as file:
        file.write(_card(row, size, seed).encode())
    return folder


def _card(row: dict[str, Any], size: Size, seed: int) -> str:
    data, machine = configuration("pretrain.yaml")["data"], row["machine"]
    metrics = dict(row["figures"])
    return Template(CARD.read_text()).substitute(
        name=NAME,
        seed=seed,
        parameters=f"{row['parameters']:,}",
        d_model=size.model["d_model"],
        length=f"{data['length']:,}",
        batch=data["global_batch_size"],
        steps=f"{row['steps']:,}",
        read=f"{row['tokens'] / 1e6:,.0f}",
        lr=size.pretrain_lr,
        soft_mask_weight=data["soft_mask_weight"],
        device=machine["device"],
        torch=machine["torch"],
        seconds=f"{row['seconds']:.0f}",
        perplexity=f"{metrics.pop('perplexity'):.3f}",
        species="\n".join(f"| {species(name)} | {value:.3f} |" for name, value in metrics.items()),
    )
