"""Where a command runs."""

import torch

__all__ = ["best_device"]


def best_device(name: str = "auto") -> str:
    """What a command's ``--device`` stands for: ``auto`` is a CUDA GPU if there is one.

    Raises:
        ValueError: no device of PyTorch, or CUDA was asked for and is not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name} was asked for, but PyTorch finds no CUDA GPU; use cpu")
    return name
