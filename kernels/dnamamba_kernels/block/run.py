"""A checked layer on a backend: fused on Triton, else by the three ops; whole, or over pieces."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dnamamba_kernels.backend import choose
from dnamamba_kernels.block.by_ops import block_by_ops
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.pieces import bound, current, refuse_lengths

__all__ = ["run_block"]


def run_block(
    x: Tensor, residual: Tensor | None, layer: Layer, recompute: bool, backend: str | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Branch, stream and states; the latter without a meaning where there are two directions.

    Raises:
        ValueError: of a piece, what cannot be.
    """
    pieces = current()
    if pieces is not None and layer.lengths is not None and len(layer.directions) == 1:
        refuse_lengths()
    backend = choose(backend, x.device, torch.promote_types(x.dtype, layer.in_weight.dtype))
    padding = layer.padding(x.shape[1])
    if layer.resets is not None and padding is not None:
        layer = layer._replace(resets=layer.resets & ~padding)  # a state passes the padding whole
    if backend == "triton":
        if pieces is not None:
            from dnamamba_kernels.block.fused.in_pieces import block_in_pieces

            return block_in_pieces(pieces, x, residual, layer, recompute)
        from dnamamba_kernels.block.fused.operators import block_fused

        return block_fused(x, residual, layer, recompute)
    if recompute and torch.is_grad_enabled():
        return checkpoint(bound(block_by_ops), x, residual, layer, backend, use_reentrant=False)
    return block_by_ops(x, residual, layer, backend)
