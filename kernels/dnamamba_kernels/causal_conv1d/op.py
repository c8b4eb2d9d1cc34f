"""The causal depthwise convolution of a Mamba block: the public op and the choice of backend."""

import torch
from torch import Tensor

from dnamamba_kernels.backend import choose
from dnamamba_kernels.causal_conv1d.eager.launch import causal_conv1d_eager
from dnamamba_kernels.causal_conv1d.reference import causal_conv1d_reference
from dnamamba_kernels.causal_conv1d.step import causal_conv1d_step
from dnamamba_kernels.checks import expect

__all__ = ["causal_conv1d", "causal_conv1d_step"]


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = "silu",
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Convolve each channel with its own W taps, each position seeing itself and W - 1 before it.

    With x_t = 0 before the start (or ``initial_state``'s inputs)::

        y_t = act(bias + sum_{k < W} weight[:, k] x_{t - W + 1 + k})

    The local mixing of a Mamba block, Gu and Dao 2023 (arXiv:2312.00752), section 3.4 and
    figure 3. Differentiable in every floating argument, ``initial_state`` and ``final_state``
    included. Accumulates in fp32 (fp64 for fp64).

    No tap crosses a mark of ``resets``. Forward, a mark at position 0 drops ``initial_state``, and
    ``final_state`` holds zeros for taps before the last mark. In reverse (taps reach to the right)
    ``initial_state`` enters at L - 1, and a mark at position 0 leaves ``final_state`` zero.

    Args:
        x: input (B, L, D); fp32, bf16, fp16 or fp64, L and D at least 1.
        weight: taps (D, W), oldest input first, W from 2 to 4.
        bias: (D,), or None.
        activation: "silu" or None.
        initial_state: the W - 1 inputs scanned before x, oldest first (B, D, W-1), in x's dtype;
            None is zero.
        resets: (B, L) bool, in memory order the first base of each packed segment; None is none.
        reverse: scan from L - 1 down to 0. Memory is not flipped, segments stay the same.
        backend: "triton", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        y (B, L, D) in x's dtype, and the last W - 1 scanned inputs, oldest first (B, D, W-1), in
        x's dtype.

    Raises:
        ValueError: a shape, dtype, device or the activation does not fit; names the argument.
    """
    _check(x, weight, bias, activation, initial_state, resets)
    arguments = (x, weight, bias, activation, initial_state, resets, reverse)
    match choose(backend, x.device):
        case "triton":
            from dnamamba_kernels.causal_conv1d.fused.launch import causal_conv1d_fused

            return causal_conv1d_fused(*arguments)
        case "torch":
            return causal_conv1d_eager(*arguments)
        case _:
            return causal_conv1d_reference(*arguments)


def _check(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: str | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
) -> None:
    op = "causal_conv1d"
    if x.dim() != 3 or weight.dim() != 2:
        raise ValueError(
            f"{op}: x must have shape (B, L, D) and weight (D, W), "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    batch, length, channels = x.shape
    taps = weight.shape[1]
    if length < 1 or channels < 1 or not 2 <= taps <= 4:
        raise ValueError(
            f"{op}: L and D must be at least 1 and W from 2 to 4, "
            f"got L = {length}, D = {channels}, W = {taps}"
        )
    if activation not in ("silu", None):
        raise ValueError(f'{op}: activation must be "silu" or None, got {activation!r}')
    expect(op, "x", x, "B, L, D", (batch, length, channels), x.device)
    expect(op, "weight", weight, "D, W", (channels, taps), x.device)
    expect(op, "bias", bias, "D", (channels,), x.device)
    held = (batch, channels, taps - 1)
    expect(op, "initial_state", initial_state, "B, D, W-1", held, x.device, x.dtype)
    expect(op, "resets", resets, "B, L", (batch, length), x.device, torch.bool)
