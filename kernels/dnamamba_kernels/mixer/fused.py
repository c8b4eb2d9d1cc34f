"""The inside of a Mamba layer as autograd and torch.compile see it: a pair of opaque operators.

What the backward needs of the projections and the convolution it computes again.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.causal_conv1d import fused as conv
from dnamamba_kernels.dense import dense
from dnamamba_kernels.selective_scan import fused as scan
from dnamamba_kernels.selective_scan.fused_launch import Scan, run_backward
from dnamamba_kernels.selective_scan.fused_plan import plan

__all__ = ["mixer_fused"]


def mixer_fused(
    h: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = (
        h, in_weight, conv_weight, conv_bias, x_weight, dt_weight, dt_bias, A, D,
        conv_state, ssm_state,
    )  # fmt: skip
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    y, tail, final, _ = _forward(*inputs, resets, keep)
    return y, tail, final


class _Inside(NamedTuple):
    """What lies between h and the scan."""

    x: Tensor  # (B, L, D), the convolution's input
    z: Tensor  # (B, L, D), the gate
    u: Tensor
    selected: Tensor  # (B, L, R + 2 N), of which rank, B and C are views
    rank: Tensor
    B: Tensor
    C: Tensor
    delta: Tensor


def _inside(
    h: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    conv_state: Tensor | None,
    resets: Tensor | None,
) -> _Inside:
    # Two products rather than halves of one: the backward can then let go of x while it scans.
    x, z = (F.linear(h, weight) for weight in in_weight.chunk(2))
    u = conv._forward(x, conv_weight, conv_bias, conv_state, resets, True, False)
    selected = F.linear(u, x_weight)
    rank, B, C = _split(selected, dt_weight.shape[1])
    return _Inside(x, z, u, selected, rank, B, C, F.linear(rank, dt_weight))


def _split(selected: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    states = (selected.shape[-1] - rank) // 2
    s, B, C = selected.split((rank, states, states), -1)
    return s, B, C


@torch.library.custom_op("dnamamba::mixer", mutates_args=())
def _forward(
    h: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y, both states and, for the backward if ``keep``, the scan's states that enter each chunk."""
    p = _inside(h, in_weight, conv_weight, conv_bias, x_weight, dt_weight, conv_state, resets)
    y, final, states = scan._forward(
        p.u, p.delta, A, p.B, p.C, D, p.z, dt_bias, ssm_state, resets, True, False, keep
    )
    tail = conv._final_state(p.x, conv_weight.shape[1] - 1, conv_state, resets, False)
    return y, tail, final, states


@_forward.register_fake
def _(
    h: Tensor, in_weight: Tensor, conv_weight: Tensor, conv_bias: Tensor | None, x_weight: Tensor,
    dt_weight: Tensor, dt_bias: Tensor | None, A: Tensor, *others: Tensor | bool | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    channels, taps = conv_weight.shape
    y, final, states = scan._outputs(h.new_empty(*h.shape[:2], channels), A, bool(others[-1]))
    return y, h.new_empty(h.shape[0], channels, taps - 1), final, states


@torch.library.custom_op("dnamamba::mixer_backward", mutates_args=())
def _backward(
    dy: Tensor | None,
    dtail: Tensor | None,
    dfinal: Tensor | None,
    h: Tensor,
    in_weight: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor | None,
    A: Tensor,
    D: Tensor,
    conv_state: Tensor | None,
    ssm_state: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
) -> list[Tensor]:
    """The gradient of every input from h to ssm_state; empty where absent."""
    inputs = (
        h, in_weight, conv_weight, conv_bias, x_weight, dt_weight, dt_bias, A, D,
        conv_state, ssm_state,
    )  # fmt: skip
    if not h.numel():
        return [x.zero_() for x in _empty_gradients(*inputs)]
    # Memory is at its peak during the scan, so x goes before it and comes again after it, and Δ
    # makes room for its own gradient: a program reads a tile of both before it writes there.
    x, z, u, selected, rank, B, C, delta = _inside(
        h, in_weight, conv_weight, conv_bias, x_weight, dt_weight, conv_state, resets
    )
    del x
    dselected, ddelta = torch.empty_like(selected), delta
    drank, dB, dC = _split(dselected, dt_weight.shape[1])
    du, dz = torch.empty_like(u), torch.empty_like(z)
    dA, dD = torch.empty_like(A), torch.empty_like(D)
    dbias = u.new_empty(0) if dt_bias is None else torch.empty_like(dt_bias)
    dssm = u.new_empty(len(u), *A.shape, dtype=torch.float32)
    run_backward(
        plan(u.shape[0], u.shape[1], u.shape[2], A.shape[1]),
        Scan(u, delta, A, B, C, D, z, dt_bias, True, resets, False),
        states,
        torch.zeros_like(u) if dy is None else dense(dy),
        dfinal,
        [du, ddelta, dA, dB, dC, dD, dz, dbias, dssm],
    )
    drank.copy_(ddelta @ dt_weight)
    du.flatten(0, 1).addmm_(dselected.flatten(0, 1), x_weight)
    dx_weight, ddt_weight = _product(dselected, u), _product(ddelta, rank)
    del z, u, delta, ddelta

    to_x, to_z = in_weight.chunk(2)
    x = F.linear(h, to_x)
    dx = torch.empty_like(x)
    dconv_weight, dconv_bias, dconv_state = conv.run_backward(
        du, x, conv_weight, conv_bias, conv_state, resets, True, False, dx
    )
    del x, du
    if dtail is not None:
        held = None if conv_state is None else dconv_state
        conv.add_through_final_state(dtail, resets, dx, held)
    dh = dz @ to_z
    dh.flatten(0, 1).addmm_(dx.flatten(0, 1), to_x)
    din_weight = torch.cat([_product(dx, h), _product(dz, h)])
    if ssm_state is None:
        dssm = h.new_empty(0)
    return [
        dh, din_weight, dconv_weight, dconv_bias, dx_weight, ddt_weight, dbias, dA, dD,
        dconv_state, dssm,
    ]  # fmt: skip


def _product(dy: Tensor, x: Tensor) -> Tensor:
    """The gradient of the matrix that made y of x, summed over batch and positions."""
    return dy.flatten(0, 1).t() @ x.flatten(0, 1)


@_backward.register_fake
def _(
    dy: Tensor | None, dtail: Tensor | None, dfinal: Tensor | None, *inputs: Tensor | None
) -> list[Tensor]:
    return _empty_gradients(*inputs[:11])


def _empty_gradients(*inputs: Tensor | None) -> list[Tensor]:
    h = inputs[0]
    assert h is not None
    return [h.new_empty(0) if x is None else x.new_empty(x.shape) for x in inputs]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[3])
    ctx.save_for_backward(*inputs[:12], output[3])


def _differentiate(
    ctx: Any, dy: Tensor | None, dtail: Tensor | None, dfinal: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    gradients: list[Tensor | None] = [None] * 11
    if not all(x is None for x in (dy, dtail, dfinal)):
        found = _backward(dy, dtail, dfinal, *saved)
        gradients = [x if y is not None else None for x, y in zip(found, saved[:11], strict=True)]
    return (*gradients, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
