"""A checked layer on a backend: fused on Triton, else, and over pieces, by the three ops."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dnamamba_kernels.backend import choose
from dnamamba_kernels.block.by_ops import block_by_ops
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.pieces import bound, current

__all__ = ["run_block"]


def run_block(
    x: Tensor, residual: Tensor | None, layer: Layer, recompute: bool, backend: str | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Branch, stream and states; the latter without a meaning where there are two directions."""
    backend = choose(backend, x.device, torch.promote_types(x.dtype, layer.in_weight.dtype))
    padding = layer.padding(x.shape[1])
    if layer.resets is not None and padding is not None:
        layer = layer._replace(resets=layer.resets & ~padding)  # a state passes the padding whole
    if backend == "triton" and current() is None:  # fused, it does not know pieces
        from dnamamba_kernels.block.fused.operators import block_fused

        return block_fused(x, residual, layer, recompute)
    if recompute and torch.is_grad_enabled():
        return checkpoint(bound(block_by_ops), x, residual, layer, backend, use_reentrant=False)
    return block_by_ops(x, residual, layer, backend)
