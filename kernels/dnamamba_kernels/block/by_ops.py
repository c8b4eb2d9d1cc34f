"""A layer by the three ops and the projections between them; autograd differentiates it.

The reference, and what runs wherever Triton does not.
"""

from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.add_rms_norm import add_rms_norm
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.causal_conv1d import causal_conv1d
from dnamamba_kernels.selective_scan import selective_scan

__all__ = ["mamba_block_by_ops"]


def mamba_block_by_ops(
    x: Tensor, residual: Tensor | None, layer: Layer, backend: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    h, stream = add_rms_norm(
        x, residual, layer.norm_weight, layer.eps, dtype=layer.in_weight.dtype, backend=backend
    )
    i, z = F.linear(h, layer.in_weight).chunk(2, -1)
    u, tail = causal_conv1d(
        i, layer.conv_weight, layer.conv_bias, layer.conv_state, layer.resets, backend=backend
    )
    s, B, C = layer.select(F.linear(u, layer.x_weight))
    y, final = selective_scan(
        u,
        F.linear(s, layer.dt_weight),
        layer.A,
        B,
        C,
        layer.D,
        z,
        layer.dt_bias,
        initial_state=layer.ssm_state,
        resets=layer.resets,
        backend=backend,
    )
    return F.linear(y, layer.out_weight), stream, tail, final
