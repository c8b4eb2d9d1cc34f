"""What the public ops check before they compute."""

import torch
from torch import Tensor

__all__ = ["compute_dtype", "expect"]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of states and accumulation: fp64 for fp64, else fp32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def expect(
    op: str,
    name: str,
    tensor: Tensor | None,
    letters: str,
    sizes: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> None:
    """Check one argument: its shape ``sizes``, spelled ``letters``, its device and its dtype.

    Without ``dtype`` any floating dtype will do; ``None`` for an optional argument passes.

    Raises:
        ValueError: names the op and the argument, what was expected and what came.
    """
    if tensor is None:
        return
    if tuple(tensor.shape) != sizes:
        raise ValueError(
            f"{op}: {name} must have shape ({letters}) = {sizes}, got {tuple(tensor.shape)}"
        )
    if tensor.device != device:
        raise ValueError(f"{op}: {name} must be on {device}, got {tensor.device}")
    if dtype is None and not tensor.is_floating_point():
        raise ValueError(f"{op}: {name} must have a floating dtype, got {tensor.dtype}")
    if dtype is not None and tensor.dtype != dtype:
        raise ValueError(f"{op}: {name} must have dtype {dtype}, got {tensor.dtype}")
