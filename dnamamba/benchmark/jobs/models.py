"""The MODELs of a benchmark: read once in a process, and told apart by what they hold."""

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from dnamamba import checkpoint
from dnamamba.checkpoint import Opened
from dnamamba.settings import plain

__all__ = ["Identity", "identity", "opened"]

Stamp = tuple[tuple[str, int, int], ...]


class Identity(NamedTuple):
    """Hex digits by which models are told apart.

    Attributes:
        sizes: of configuration and tokenizer, which a new model of the same kind shares.
        weights: of the tensors, too.
    """

    sizes: str
    weights: str


def opened(model: str) -> Opened:
    """What ``checkpoint.open_model`` gives, read once in a process; do not change it.

    Args:
        model: as the user typed it.

    Raises:
        CheckpointError: it cannot be read; names the file and the remedy.
    """
    return _opened(model, _stamp(model))


def identity(model: str) -> Identity:
    """What tells a model from others, whatever it is called; arguments and errors as ``opened``."""
    return _identity(model, _stamp(model))


@lru_cache(maxsize=2)
def _opened(model: str, stamp: Stamp) -> Opened:
    return checkpoint.open_model(model)


@lru_cache(maxsize=256)
def _identity(model: str, stamp: Stamp) -> Identity:
    read = _opened(model, stamp)
    said = json.dumps([asdict(read.model.config), plain(read.tokenizer)], sort_keys=True)
    sizes = hashlib.blake2b(said.encode(), digest_size=8)
    weights = sizes.copy()
    for name, tensor in sorted(read.model.state_dict().items()):
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        weights.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return Identity(sizes.hexdigest(), weights.hexdigest())


def _stamp(model: str) -> Stamp:
    """Sizes and times of a model's files, that another one under its name is read anew."""
    path = Path(model)
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)
