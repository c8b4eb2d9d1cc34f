"""The fused scan as autograd and torch.compile see it: a pair of opaque operators."""

from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.selective_scan.chunked.launch import selective_scan_chunked
from dnamamba_kernels.selective_scan.fused.launch import Scan, run_backward, run_forward
from dnamamba_kernels.selective_scan.fused.plan import plan

__all__ = ["selective_scan_fused"]


def selective_scan_fused(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    if u.dtype == torch.float64:  # the kernels' state is fp32
        return selective_scan_chunked(*inputs[:-1], delta_softplus, initial_state, resets, reverse)
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    y, final_state, _ = _forward(*inputs, resets, delta_softplus, reverse, keep)
    return y, final_state


@torch.library.custom_op("dnamamba::selective_scan", mutates_args=())
def _forward(
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
    softplus: bool,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the final state and, for the backward if ``keep``, the states that enter each chunk."""
    y, final_state, states = _outputs(u, A, keep)
    if u.numel():
        scan = Scan(
            dense(u), dense(delta), A, B, C, D, z if z is None else dense(z), delta_bias,
            softplus, resets, reverse,
        )  # fmt: skip
        run_forward(
            plan(u.shape[0], u.shape[1], u.shape[2], A.shape[1]),
            scan,
            initial_state,
            y,
            final_state,
            states,
        )
    return y, final_state, states


@_forward.register_fake
def _(
    u: Tensor, delta: Tensor, A: Tensor, *others: Tensor | bool | None
) -> tuple[Tensor, Tensor, Tensor]:
    return _outputs(u, A, bool(others[-1]))


def _outputs(u: Tensor, A: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, channels = u.shape
    n_states = A.shape[1]
    p = plan(batch, length, channels, n_states)
    kept = (batch, p.n_chunks, p.states, channels) if keep else (0,)
    return (
        u.new_empty(batch, length, channels),
        u.new_empty(batch, channels, n_states, dtype=torch.float32),
        u.new_empty(kept, dtype=torch.float32),
    )


@torch.library.custom_op("dnamamba::selective_scan_backward", mutates_args=())
def _backward(
    dy: Tensor | None,
    dfinal: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
    softplus: bool,
    reverse: bool,
) -> list[Tensor]:
    """Gradients of u, delta, A, B, C, D, z, delta_bias, initial_state; empty where absent."""
    out = _empty_gradients(u, delta, A, B, C, D, z, delta_bias)
    if not u.numel():
        return [x.zero_() for x in out]
    scan = Scan(
        dense(u), dense(delta), A, B, C, D, z if z is None else dense(z), delta_bias,
        softplus, resets, reverse,
    )  # fmt: skip
    dy = torch.zeros_like(u) if dy is None else dense(dy)
    run_backward(
        plan(u.shape[0], u.shape[1], u.shape[2], A.shape[1]), scan, states, dy, dfinal, out
    )
    return out


@_backward.register_fake
def _(
    dy: Tensor | None,
    dfinal: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    *others: Tensor | bool | None,
) -> list[Tensor]:
    return _empty_gradients(u, delta, A, B, C, D, z, delta_bias)


def _empty_gradients(*inputs: Tensor | None) -> list[Tensor]:
    u, A = inputs[0], inputs[2]
    assert u is not None
    assert A is not None
    out = [u.new_empty(0) if x is None else x.new_empty(x.shape) for x in inputs]
    return [*out, u.new_empty(u.shape[0], *A.shape, dtype=torch.float32)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, initial_state, resets, softplus, reverse, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    ctx.save_for_backward(*tensors, resets, output[2])
    ctx.modes = softplus, reverse
    ctx.has_initial = initial_state is not None


def _differentiate(
    ctx: Any, dy: Tensor | None, dfinal: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    gradients: list[Tensor | None] = [None] * 9
    if dy is not None or dfinal is not None:
        saved = ctx.saved_tensors
        present = [x is not None for x in saved[:8]] + [ctx.has_initial]
        found = _backward(dy, dfinal, *saved, *ctx.modes)
        gradients = [x if there else None for x, there in zip(found, present, strict=True)]
    return (*gradients, None, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
