"""A Mamba layer as autograd and torch.compile see it: a pair of opaque operators.

What the backward needs and nobody kept it computes again.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.add_rms_norm import fused as norm
from dnamamba_kernels.causal_conv1d.fused import launch as conv
from dnamamba_kernels.selective_scan.fused import operator as scan
from dnamamba_kernels.selective_scan.fused.launch import Scan, run_backward
from dnamamba_kernels.selective_scan.fused.plan import plan

__all__ = ["mamba_block_fused"]


def mamba_block_fused(
    x: Tensor,
    residual: Tensor | None,
    norm_weight: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    out_weight: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
    eps: float,
    recompute: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs = (
        x, residual, norm_weight, in_weight, conv_weight, conv_bias, x_weight, dt_weight, dt_bias,
        A, D, out_weight, conv_state, ssm_state,
    )  # fmt: skip
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    branch, stream, tail, final, *_ = _forward(*inputs, resets, eps, keep, keep and not recompute)
    return branch, stream, tail, final


@torch.library.custom_op("dnamamba::mamba_block", mutates_args=())
def _forward(
    x: Tensor,
    residual: Tensor | None,
    norm_weight: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    out_weight: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
    eps: float,
    keep_states: bool,
    keep_inside: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Branch, stream, both states; and for the backward, or empty, what ``_Kept`` lists."""
    h, stream = norm._forward(x, residual, norm_weight, eps, in_weight.dtype)
    i, z = F.linear(h, in_weight).chunk(2, -1)
    u = conv._forward(i, conv_weight, conv_bias, conv_state, resets, True, False)
    tail = conv._final_state(i, conv_weight.shape[1] - 1, conv_state, resets, False)
    selected = F.linear(u, x_weight)
    rank, B, C = _split(selected, dt_weight.shape[1])
    y, final, states = scan._forward(
        u, F.linear(rank, dt_weight), A, B, C, D, z, dt_bias, ssm_state, resets, True, False,
        keep_states,
    )  # fmt: skip
    branch = F.linear(y, out_weight)
    if not keep_inside:
        h, u, selected = (h.new_empty(0) for _ in range(3))
    return branch, stream, tail, final, states, h, u, selected


def _split(selected: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    states = (selected.shape[-1] - rank) // 2
    s, B, C = selected.split((rank, states, states), -1)
    return s, B, C


@_forward.register_fake
def _(
    x: Tensor,
    residual: Tensor | None,
    norm_weight: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    out_weight: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
    eps: float,
    keep_states: bool,
    keep_inside: bool,
) -> tuple[Tensor, ...]:
    channels, taps = conv_weight.shape
    rows = x.shape[:2]
    u = in_weight.new_empty(*rows, channels)
    _, final, states = scan._outputs(u, A, keep_states)
    inside = [in_weight.new_empty(x.shape), u, u.new_empty(*rows, x_weight.shape[0])]
    if not keep_inside:
        inside = [u.new_empty(0) for _ in inside]
    return (
        u.new_empty(*rows, out_weight.shape[0]), x.new_empty(x.shape, dtype=torch.float32),
        u.new_empty(x.shape[0], channels, taps - 1), final, states, *inside,
    )  # fmt: skip


class _Kept(NamedTuple):
    """What autograd holds from forward to backward. The last three are empty to be recomputed."""

    norm_weight: Tensor
    in_weight: Tensor
    conv_weight: Tensor
    conv_bias: Tensor | None
    x_weight: Tensor
    dt_weight: Tensor
    dt_bias: Tensor | None
    A: Tensor
    D: Tensor
    out_weight: Tensor
    conv_state: Tensor | None
    ssm_state: Tensor | None
    resets: Tensor | None
    stream: Tensor  # (B, L, d_model), x in it
    states: Tensor  # those that enter each chunk of the scan
    h: Tensor  # (B, L, d_model), what leaves the norm
    u: Tensor  # (B, L, D), what leaves the convolution
    selected: Tensor  # (B, L, R + 2 N), the rank of Δ, B and C


@torch.library.custom_op("dnamamba::mamba_block_backward", mutates_args=())
def _backward(
    dbranch: Tensor | None,
    dstream: Tensor | None,
    dtail: Tensor | None,
    dfinal: Tensor | None,
    norm_weight: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    out_weight: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
    stream: Tensor,
    states: Tensor,
    h: Tensor,
    u: Tensor,
    selected: Tensor,
    eps: float,
    dtype: torch.dtype,
    has_residual: bool,
) -> list[Tensor]:
    """The gradient of every input from x, of ``dtype``, to ssm_state; empty where absent."""
    if not stream.numel():
        kept = _Kept(
            norm_weight, in_weight, conv_weight, conv_bias, x_weight, dt_weight, dt_bias, A, D,
            out_weight, conv_state, ssm_state, resets, stream, states, h, u, selected,
        )  # fmt: skip
        return [x.zero_() for x in _empty_gradients(kept, dtype, has_residual)]
    to_i, to_z = in_weight.chunk(2)
    recompute = not h.numel()

    def normed() -> Tensor:
        out = in_weight.new_empty(stream.shape)
        norm.run_forward(stream, None, norm_weight, eps, out, None)
        return out

    def convolved(i: Tensor) -> Tensor:
        return conv._forward(i, conv_weight, conv_bias, conv_state, resets, True, False)

    # Memory is at its peak during the scan. So what only the projections want comes after it, if
    # need be once more, and gradients take the place of what they are gradients of where it can
    # be had again: a program reads a tile of both before it writes there.
    if recompute:
        h = normed()
        u = convolved(F.linear(h, to_i))
        selected = F.linear(u, x_weight)
    z = F.linear(h, to_z)
    if recompute:
        del h
    rank, B, C = _split(selected, dt_weight.shape[1])
    delta = F.linear(rank, dt_weight)
    dselected = torch.empty_like(selected)
    drank, dB, dC = _split(dselected, dt_weight.shape[1])
    ddelta, du = delta, u if recompute else torch.empty_like(u)
    # The gradients of i and z side by side, for one product of both with h and one with in_weight.
    # Until y has served its own product it stands where that of i will.
    both = u.new_empty(*u.shape[:2], 2 * u.shape[2])
    di, dz = both.chunk(2, -1)
    y = None if dbranch is None else di
    dA, dD = torch.empty_like(A), torch.empty_like(D)
    dbias = u.new_empty(0) if dt_bias is None else torch.empty_like(dt_bias)
    dssm = u.new_empty(u.shape[0], *A.shape, dtype=torch.float32)
    run_backward(
        plan(u.shape[0], u.shape[1], u.shape[2], A.shape[1]),
        Scan(u, delta, A, B, C, D, z, dt_bias, True, resets, False),
        states,
        torch.zeros_like(u) if dbranch is None else dbranch @ out_weight,
        dfinal,
        [du, ddelta, dA, dB, dC, dD, dz, dbias, dssm],
        y,
    )
    dout = torch.zeros_like(out_weight) if y is None else _product(dbranch, y)
    del z
    torch.mm(ddelta.flatten(0, 1), dt_weight, out=drank.flatten(0, 1))
    ddt_weight = _product(ddelta, rank)
    du.flatten(0, 1).addmm_(dselected.flatten(0, 1), x_weight)
    del delta, ddelta

    if recompute:
        h = normed()
    i = F.linear(h, to_i)
    if recompute:
        u = convolved(i)
    dx_weight = _product(dselected, u)
    del u
    dconv_weight, dconv_bias, dconv_state = conv.run_backward(
        du, i, conv_weight, conv_bias, conv_state, resets, True, False, di
    )
    del i, du
    if dtail is not None:
        held = None if conv_state is None else dconv_state
        conv.add_through_final_state(dtail, resets, di, held)
    din_weight, dh = _product(both, h), both @ in_weight
    del both, y, di, dz
    dx, dresidual, dnorm = norm._backward(
        stream, norm_weight, dh, dstream, eps, dtype, has_residual
    )
    if ssm_state is None:
        dssm = h.new_empty(0)
    return [
        dx, dresidual, dnorm, din_weight, dconv_weight, dconv_bias, dx_weight, ddt_weight, dbias,
        dA, dD, dout, dconv_state, dssm,
    ]  # fmt: skip


def _product(dy: Tensor | None, x: Tensor) -> Tensor:
    """The gradient of the matrix that made y of x, summed over batch and positions."""
    assert dy is not None
    return dy.flatten(0, 1).t() @ x.flatten(0, 1)


@_backward.register_fake
def _(
    dbranch: Tensor | None,
    dstream: Tensor | None,
    dtail: Tensor | None,
    dfinal: Tensor | None,
    *others: Any,
) -> list[Tensor]:
    kept, (_, dtype, has_residual) = _Kept(*others[:-3]), others[-3:]
    return _empty_gradients(kept, dtype, has_residual)


def _empty_gradients(kept: _Kept, dtype: torch.dtype, has_residual: bool) -> list[Tensor]:
    stream = kept.stream
    dx = stream.new_empty(stream.shape, dtype=dtype)
    dresidual = stream.new_empty(stream.shape if has_residual else (0,))
    others = [stream.new_empty(0) if x is None else x.new_empty(x.shape) for x in kept[:12]]
    return [dx, dresidual, *others]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, residual, *kept, eps, _, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[4:])
    ctx.save_for_backward(*_Kept._make((*kept, output[1], *output[4:])))
    ctx.modes = eps, x.dtype, residual is not None


def _differentiate(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    found: list[Tensor | None] = [None] * 14
    if any(x is not None for x in gradients[:4]):
        kept = _Kept(*ctx.saved_tensors)
        there = [True, ctx.modes[2], *(x is not None for x in kept[:12])]
        all_ = _backward(*gradients[:4], *kept, *ctx.modes)
        found = [x if present else None for x, present in zip(all_, there, strict=True)]
    return (*found, None, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
