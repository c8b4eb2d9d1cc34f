"""The inside of a Mamba layer as one op: the choice of backend."""

import torch
from torch import Tensor

from dnamamba_kernels.backend import choose

__all__ = ["fuses_mixer", "mixer"]


def fuses_mixer(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether ``mixer`` runs there: on Triton, in fp32 or less."""
    return dtype != torch.float64 and choose(None, device) == "triton"


def mixer(
    h: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    conv_state: Tensor | None = None,
    ssm_state: Tensor | None = None,
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A Mamba layer between its norm and its out-projection, keeping little for the backward.

    ::

        x, z = split(h @ in_weight.T)
        u = silu(causal_conv1d(x))
        s, B, C = split(u @ x_weight.T)
        y = selective_scan(u, s @ dt_weight.T, A, B, C, D, z, dt_bias)

    Gu and Dao 2023 (arXiv:2312.00752), algorithm 2 and figure 3. For each position autograd keeps
    h and a share of the scan's states, where the same calls one by one keep seven times as much:
    the backward does projections and convolution again, a tenth of what the scan costs.
    Differentiable in every floating argument, through every output; not twice.

    Args:
        h: input (B, L, d_model); fp32, bf16 or fp16, the dtype in which the projections run.
        in_weight: (2 D, d_model), in h's dtype.
        conv_weight: taps of the convolution (D, W), oldest input first.
        conv_bias: (D,), or None.
        x_weight: (R + 2 N, D), in h's dtype.
        dt_weight: (D, R), in h's dtype.
        dt_bias: (D,), added to Δ in fp32; or None.
        A: decay (D, N), fp32, negative.
        D: skip connection (D,).
        conv_state: the inputs of the convolution before h, oldest first (B, D, W-1), in h's dtype;
            None is zero.
        ssm_state: the scan's state before h (B, D, N), fp32; None is zero.
        resets: (B, L) bool, the first base of each packed segment; None is none.

    Returns:
        y (B, L, D) in h's dtype, and the two states after the last position, as they came.
    """
    from dnamamba_kernels.mixer.fused import mixer_fused

    return mixer_fused(
        h, in_weight, conv_weight, conv_bias, x_weight, dt_weight, dt_bias, A, D,
        conv_state, ssm_state, resets,
    )  # fmt: skip
