"""A whole Mamba layer of one direction as one op."""

import torch
from torch import Tensor

from dnamamba_kernels.backend import choose
from dnamamba_kernels.block.layer import Direction, Layer
from dnamamba_kernels.block.run import run_block

__all__ = ["fuses_block", "mamba_block"]


def fuses_block(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a block would run there as one fused op: on Triton, in fp32 or less."""
    return choose(None, device, dtype) == "triton"


def mamba_block(
    x: Tensor,
    residual: Tensor | None,
    norm_weight: Tensor,
    eps: float,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    out_weight: Tensor,
    conv_state: Tensor | None = None,
    ssm_state: Tensor | None = None,
    resets: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    recompute: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A Mamba layer, keeping little for the backward.

    ::

        h, stream = add_rms_norm(x, residual, norm_weight, eps)
        i, z = split(h @ in_weight.T)
        u = silu(causal_conv1d(i))
        s, B, C = split(u @ x_weight.T)
        y = selective_scan(u, s @ dt_weight.T, A, B, C, D, z, dt_bias)
        branch = y @ out_weight.T

    Gu and Dao 2023 (arXiv:2312.00752), algorithm 2 and figure 3. Differentiable in every floating
    argument, through every output; on Triton and in PyTorch not twice.

    On Triton it is one op: for each position autograd keeps the stream, a share of the scan's
    states, h, u, and the row of s, B and C, two fifths of what the same calls one by one keep. The
    rest comes again in the backward: the scan's own makes y by the way, and projections are cheap
    beside it. Elsewhere it is those calls one by one.

    Within ``dnamamba_kernels.pieces.over`` all but the states is of this process's piece of a
    sequence. ``conv_state`` and ``ssm_state`` are the sequence's, and count where its first piece
    is; ``ssm_state`` comes back as it is behind the sequence, ``conv_state`` so to the first piece
    alone. ``lengths`` must be None.

    Args:
        x: what the layer before adds to the stream (B, L, d_model); fp32, bf16, fp16 or fp64, L at
            least 1.
        residual: the stream (B, L, d_model), fp32 (fp64 if x is fp64); None is zero.
        norm_weight: (d_model,).
        eps: added to the mean square under the norm's root.
        in_weight: (2 D, d_model); its dtype is that in which the projections run.
        conv_weight: taps of the convolution (D, W), oldest input first, W from 2 to 4.
        conv_bias: (D,), or None.
        x_weight: (R + 2 N, D), in in_weight's dtype.
        dt_weight: (D, R), in in_weight's dtype.
        dt_bias: (D,), added to Δ in fp32; or None.
        A: decay (D, N), negative; N at most 256.
        D: skip connection (D,).
        out_weight: (d_model, D), in in_weight's dtype.
        conv_state: the inputs of the convolution before x, oldest first (B, D, W-1), in in_weight's
            dtype; None is zero.
        ssm_state: the scan's state before x (B, D, N), fp32 (fp64 if in_weight is fp64); None is
            zero.
        resets: (B, L) bool, the first base of each packed segment; None is none.
        lengths: (B,) int32 or int64 from 0 to L, how many positions of each row are real; None is
            all. From there on the branch is zero: what stands there, and a gradient that comes in
            there, matters to nothing but the stream at its own position.
        recompute: keep only the stream and the states, two fifths of that or less; elsewhere x
            and residual.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        The branch (B, L, d_model) in in_weight's dtype, which the next layer adds to the stream;
        the stream with x in it (B, L, d_model), fp32 (fp64 if x is fp64); and the two states after
        the last real position, as they came.

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    direction = Direction(conv_weight, conv_bias, x_weight, dt_weight, dt_bias, A, D)
    layer = Layer(
        norm_weight, in_weight, (direction,), out_weight, conv_state, ssm_state, resets, lengths,
        eps,
    )  # fmt: skip
    layer.check("mamba_block", x, residual, [""])
    return run_block(x, residual, layer, recompute, backend)
