"""Memory layout that the fused kernels ask for."""

from typing import overload

from torch import Tensor

__all__ = ["dense"]


@overload
def dense(x: Tensor) -> Tensor: ...
@overload
def dense(x: Tensor | None) -> Tensor | None: ...
def dense(x: Tensor | None) -> Tensor | None:
    """x if its last dimension lies dense in memory, as any slice of channels does; else a copy."""
    if x is None or x.stride(-1) == 1 or x.shape[-1] == 1:
        return x
    return x.contiguous()
