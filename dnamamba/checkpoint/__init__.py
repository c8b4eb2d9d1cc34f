"""A model and its tokenizer, to disk and back: the folder that users share, and training files."""

import os
from pathlib import Path

import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.folder import CONFIG, WEIGHTS, load_folder, save
from dnamamba.checkpoint.kinds import Model
from dnamamba.checkpoint.packaged import packaged_folder, packaged_names
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.checkpoint.training_file import load_training
from dnamamba.device import best_device

__all__ = ["CheckpointError", "Model", "load", "save"]


def load(path: str | Path, device: str | torch.device = "cpu") -> tuple[Model, Tokenizer]:
    """Read a model and its tokenizer.

    Args:
        path: a folder that ``save`` wrote, a training checkpoint (``.ckpt``), or, where there is
            no such file, the name of a model that comes with the package.
        device: where the model is put.

    Returns:
        The model, in evaluation mode and in the dtypes it was saved in, and its tokenizer.

    Raises:
        CheckpointError: nothing there, damaged, of a newer format, or not fitting together; names
            the file, what was expected, and the remedy.
        ValueError: no such device.
    """
    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(
            f"expected a path or the name of a model, got {type(path).__name__} ({path!r:.60})"
        )
    device = best_device(device)
    named, path = str(path), Path(path)
    if not path.exists():
        path = packaged_folder(named) or path
    if path.is_dir():
        model, tokenizer = load_folder(path)
    elif path.name in (CONFIG, WEIGHTS) and path.is_file():
        raise CheckpointError(f"{path} is a part of a model; give its folder, {path.parent}")
    elif path.is_file():
        model, tokenizer = load_training(path)
    else:
        names = ", ".join(packaged_names())
        raise CheckpointError(
            f"there is no {path}; expected a folder with {CONFIG} and {WEIGHTS}, a .ckpt file"
            + (f", or a model that comes with dnamamba: {names}" if names else "")
        )
    return model.to(device), tokenizer
