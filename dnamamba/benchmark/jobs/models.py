"""The MODELs of a benchmark: read once in a process, and told apart by what they hold."""

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from typing import NamedTuple

import torch

from dnamamba.checkpoint.once import Stamp, opened, stamp
from dnamamba.settings import plain

__all__ = ["Identity", "identity"]


class Identity(NamedTuple):
    """Hex digits by which models are told apart.

    Attributes:
        sizes: of configuration and tokenizer, which a new model of the same kind shares.
        weights: of the tensors, too.
    """

    sizes: str
    weights: str


def identity(model: str) -> Identity:
    """What tells a model from others, whatever it is called; arguments and errors as ``opened``."""
    return _identity(model, stamp(model))


@lru_cache(maxsize=256)
def _identity(model: str, stamp: Stamp) -> Identity:
    read = opened(model)
    said = json.dumps([asdict(read.model.config), plain(read.tokenizer)], sort_keys=True)
    sizes = hashlib.blake2b(said.encode(), digest_size=8)
    weights = sizes.copy()
    for name, tensor in sorted(read.model.state_dict().items()):
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        weights.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return Identity(sizes.hexdigest(), weights.hexdigest())
