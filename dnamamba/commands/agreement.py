"""Whether the processes that share a work have the same model, files and kind of device."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.processes import World
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.seal import file_hash
from dnamamba.inference.models import backbone_of

__all__ = ["add_weights", "check_same"]


def add_weights(update: Callable[[bytes | memoryview], object], model: nn.Module) -> None:
    """Give names, types, shapes and values of a model's weights to a hash's ``update``."""
    for name, tensor in model.state_dict().items():
        update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)


def check_same(
    world: World,
    model: nn.Module,
    tokenizer: Tokenizer,
    genomes: Iterable[Genome],
    *files: str | None,
) -> None:
    """Refuse to divide work among processes that have different things under one name.

    Args:
        world: the processes; all of them call this.
        model: what this one has loaded.
        tokenizer: the model's.
        genomes: what it has opened.
        files: what else it reads, a BED or a VCF.

    Raises:
        ValueError: one of them is another one in some process; names both.
    """
    if world.size == 1:
        return
    weights = hashlib.blake2b(f"{backbone_of(model).config} {tokenizer}".encode())
    add_weights(weights.update, model)
    kind = next(model.parameters()).device.type
    own = {"kind of device": kind, "model": weights.hexdigest()}
    own |= {f"FASTA {g.path}": f"{g.digest} {list(g.contigs.items())}" for g in genomes}
    own |= {f: file_hash(Path(f)) for f in files if f is not None and Path(f).is_file()}
    first, *others = world.gather(own)
    for rank, other in enumerate(others, 1):
        for name in first:
            if other.get(name) != first[name]:
                raise ValueError(
                    f"process {rank} of {world.size} has another {name} than the first one; each "
                    "needs the same model and files under the same path (copy them, or name a "
                    "folder that all machines share), and a device of the same kind (--device)"
                )
