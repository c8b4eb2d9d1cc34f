"""A layer by the three ops and the projections between them; autograd differentiates it.

The reference, and what runs wherever Triton does not.
"""

import math

from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.add_rms_norm import add_rms_norm
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.pieces import causal_conv1d, causal_conv1d_tail, selective_scan

__all__ = ["block_by_ops"]


def block_by_ops(
    x: Tensor, residual: Tensor | None, layer: Layer, backend: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Branch, stream, and the states after the last direction's last position."""
    h, stream = add_rms_norm(
        x, residual, layer.norm_weight, layer.eps, dtype=layer.in_weight.dtype, backend=backend
    )
    i, z = F.linear(h, layer.in_weight).chunk(2, -1)
    padding = layer.padding(x.shape[1])
    i = _filled(i, padding, 0.0)
    total: Tensor | None = None
    for reverse, direction in enumerate(layer.directions):
        weight, bias = direction.conv_weight, direction.conv_bias
        u, tail = causal_conv1d(
            i, weight, bias, layer.conv_state, layer.resets, bool(reverse), backend=backend
        )
        s, B, C = direction.select(F.linear(u, direction.x_weight))
        y, final = selective_scan(
            u,
            _filled(F.linear(s, direction.dt_weight), padding, -math.inf),
            direction.A,
            B,
            C,
            direction.D,
            z,
            direction.dt_bias,
            initial_state=layer.ssm_state,
            resets=layer.resets,
            reverse=bool(reverse),
            backend=backend,
        )
        total = y if total is None else total + y
    assert total is not None
    if layer.lengths is not None and len(layer.directions) == 1:
        tail = causal_conv1d_tail(i, tail.shape[-1], layer.conv_state, layer.resets, layer.lengths)
    return F.linear(_filled(total, padding, 0.0), layer.out_weight), stream, tail, final


def _filled(x: Tensor, padding: Tensor | None, value: float) -> Tensor:
    """x with ``value`` at the padding: what the convolutions, the scans and the branch see there.

    An input of zero reaches no tap; at Δ = -inf a state stays as it is.
    """
    return x if padding is None else x.masked_fill(padding[..., None], value)
