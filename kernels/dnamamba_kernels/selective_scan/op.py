"""The selective scan of Mamba-1: the public op, its checks and the choice of backend."""

import torch
from torch import Tensor

from dnamamba_kernels.backend import choose
from dnamamba_kernels.checks import compute_dtype, expect
from dnamamba_kernels.selective_scan.chunked.launch import selective_scan_chunked
from dnamamba_kernels.selective_scan.reference import selective_scan_reference
from dnamamba_kernels.selective_scan.step import selective_scan_step

__all__ = ["selective_scan", "selective_scan_step"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = True,
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Run the selective state space recurrence over L positions.

    With Δ_t = softplus(delta_t + delta_bias), for every channel d and state n::

        h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t
        y_t = (C_t · h_t + D u_t) silu(z_t)

    Gu and Dao 2023 (arXiv:2312.00752), eq. 2 and algorithm 2; B is discretised by Euler's rule
    and A exactly, as in the authors' code. Differentiable in every floating argument, through
    ``y`` and through ``final_state``; not twice.

    A state never crosses a mark of ``resets``. Forward, a mark at position 0 drops
    ``initial_state``. In reverse the state enters position t from t + 1, ``initial_state`` enters
    at L - 1, and a mark at position 0 leaves ``final_state`` zero: what comes before the mark is
    another segment. So a sequence cut anywhere, its state carried, gives what it gives uncut.

    A position with ``delta`` = -inf (with softplus) or Δ = 0 (without) leaves the state exactly as
    it is and takes no gradient through it: this is how padding is masked.

    Args:
        u: input (B, L, D); fp32, bf16, fp16 or fp64. B is any size, L, D and N at least 1.
        delta: Δ before bias and softplus (B, L, D).
        A: continuous-time decay (D, N), negative for a stable state; N at most 256.
        B: input projection (B, L, N).
        C: output projection (B, L, N).
        D: skip connection (D,), or None.
        z: gate (B, L, D), or None.
        delta_bias: added to ``delta`` (D,), or None.
        delta_softplus: whether Δ goes through softplus.
        initial_state: h before the first scanned position (B, D, N), fp32; None is zero.
        resets: (B, L) bool, in memory order the first base of each packed segment; None is none.
        reverse: scan from L - 1 down to 0. Memory is not flipped, segments stay the same.
        backend: "triton", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        y (B, L, D) in u's dtype, and the state after the last scanned position (B, D, N), in fp32
        (fp64 if u is fp64), the precision of the recurrence itself.

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    _check(u, delta, A, B, C, D, z, delta_bias, initial_state, resets)
    arguments = (
        u,
        delta,
        A,
        B,
        C,
        D,
        z,
        delta_bias,
        delta_softplus,
        initial_state,
        resets,
        reverse,
    )
    match choose(backend, u.device):
        case "triton":
            from dnamamba_kernels.selective_scan.fused.operator import selective_scan_fused

            return selective_scan_fused(*arguments)
        case "torch":
            return selective_scan_chunked(*arguments)
        case _:
            return selective_scan_reference(*arguments)


def _check(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
) -> None:
    op = "selective_scan"
    if u.dim() != 3 or A.dim() != 2:
        raise ValueError(
            f"{op}: u must have shape (B, L, D) and A (D, N), "
            f"got {tuple(u.shape)} and {tuple(A.shape)}"
        )
    batch, length, channels = u.shape
    states = A.shape[1]
    if length < 1 or channels < 1 or not 1 <= states <= 256:
        raise ValueError(
            f"{op}: L and D must be at least 1 and N from 1 to 256, "
            f"got L = {length}, D = {channels}, N = {states}"
        )
    inputs, device = (batch, length, channels), u.device
    expect(op, "u", u, "B, L, D", inputs, device)
    expect(op, "delta", delta, "B, L, D", inputs, device)
    expect(op, "A", A, "D, N", (channels, states), device)
    expect(op, "B", B, "B, L, N", (batch, length, states), device)
    expect(op, "C", C, "B, L, N", (batch, length, states), device)
    expect(op, "D", D, "D", (channels,), device)
    expect(op, "z", z, "B, L, D", inputs, device)
    expect(op, "delta_bias", delta_bias, "D", (channels,), device)
    held = compute_dtype(u.dtype)
    expect(op, "initial_state", initial_state, "B, D, N", (batch, channels, states), device, held)
    expect(op, "resets", resets, "B, L", (batch, length), device, torch.bool)
