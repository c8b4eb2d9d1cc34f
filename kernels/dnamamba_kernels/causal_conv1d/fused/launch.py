"""The fused convolution as autograd and torch.compile see it: a pair of opaque operators."""

from typing import Any

import torch
import triton
from torch import Tensor

from dnamamba_kernels.causal_conv1d.eager.launch import causal_conv1d_eager
from dnamamba_kernels.causal_conv1d.fused.kernels import (
    BACK_ROWS,
    BLOCK_D,
    BLOCKS,
    ROWS,
    conv_backward_kernel,
    conv_kernel,
)
from dnamamba_kernels.dense import dense

__all__ = ["add_through_final_state", "causal_conv1d_fused", "run_backward"]


def causal_conv1d_fused(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: str | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    if x.dtype == torch.float64:  # the kernels accumulate in fp32
        return causal_conv1d_eager(x, weight, bias, activation, initial_state, resets, reverse)
    y = _forward(x, weight, bias, initial_state, resets, activation == "silu", reverse)
    return y, _final_state(x, weight.shape[1] - 1, initial_state, resets, reverse)


def _final_state(
    x: Tensor, taps: int, initial_state: Tensor | None, resets: Tensor | None, reverse: bool
) -> Tensor:
    """The last inputs in scan order (B, D, W-1): a handful, so PyTorch takes and differentiates."""
    batch, length, channels = x.shape
    seen = min(taps, length)
    state = x[:, :seen].flip(1) if reverse else x[:, length - seen :]
    if resets is not None:
        state = torch.where(_crossed(resets, seen, reverse), 0.0, state)
    if seen < taps:
        carried = x.new_zeros(batch, taps - seen, channels)
        if initial_state is not None:
            carried = initial_state[:, :, seen:].transpose(1, 2)
            if resets is not None:
                carried = torch.where(resets.any(1)[:, None, None], 0.0, carried)
        state = torch.cat([carried, state], 1)
    return state.transpose(1, 2).contiguous()


def _crossed(resets: Tensor, seen: int, reverse: bool) -> Tensor:
    """(B, seen, 1): which of the last inputs, oldest first, a mark parts from the scan's end."""
    # In reverse a mark at 0 lies before the end too.
    marks = (resets[:, :seen] if reverse else resets[:, resets.shape[1] - seen :].flip(1)).long()
    crossed = marks.cumsum(1) if reverse else marks.cumsum(1) - marks
    return crossed.flip(1)[:, :, None] > 0


def add_through_final_state(
    dfinal: Tensor, resets: Tensor | None, dx: Tensor, dstate: Tensor | None
) -> None:
    """Add to dx (B, L, D) and dstate (B, D, W-1) what comes through a forward scan's last inputs.

    ``_final_state`` differentiated by hand, for where autograd does not reach.
    """
    taps, length = dfinal.shape[2], dx.shape[1]
    seen = min(taps, length)
    inside = dfinal[:, :, taps - seen :].transpose(1, 2)
    if resets is not None:
        inside = inside.masked_fill(_crossed(resets, seen, False), 0.0)
    dx[:, length - seen :] += inside
    if dstate is not None and seen < taps:
        carried = dfinal[:, :, : taps - seen]
        if resets is not None:
            carried = carried.masked_fill(resets.any(1)[:, None, None], 0.0)
        dstate[:, :, seen:] += carried


@torch.library.custom_op("dnamamba::causal_conv1d", mutates_args=())
def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
) -> Tensor:
    y = x.new_empty(x.shape)
    batch, length, channels = x.shape
    if not x.numel():
        return y
    x, marks = dense(x), None if resets is None else resets.contiguous().view(torch.uint8)
    n_blocks, n_rows = triton.cdiv(channels, BLOCK_D), triton.cdiv(length, ROWS)
    conv_kernel[(n_blocks * n_rows * batch,)](
        x, weight, bias, None if initial_state is None else initial_state.contiguous(), marks, y,
        length, channels, n_blocks, n_rows, x.stride(0), y.stride(0), *weight.stride(),
        0 if marks is None else marks.stride(0),
        W=weight.shape[1], BLOCK_D=BLOCK_D, ROWS=ROWS, SILU=silu, REVERSE=reverse,
        X_ROW=x.stride(1), Y_ROW=y.stride(1), num_warps=1,
    )  # fmt: skip
    return y


@torch.library.custom_op("dnamamba::causal_conv1d_backward", mutates_args=())
def _backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
) -> list[Tensor]:
    """Gradients of x, weight, bias and initial_state; empty where absent."""
    dx = x.new_empty(x.shape)
    return [dx, *run_backward(dy, x, weight, bias, initial_state, resets, silu, reverse, dx)]


def run_backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
    dx: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Fill ``dx``; the gradients of weight, bias and initial_state, empty where absent."""
    batch, length, channels = x.shape
    W = weight.shape[1]
    dweight, dbias, dstate = out = _empty_gradients(weight, bias, initial_state)
    if not x.numel():
        for gradient in (dx, *out):
            gradient.zero_()
        return dweight, dbias, dstate
    dy, x = dense(dy), dense(x)
    marks = None if resets is None else resets.contiguous().view(torch.uint8)
    n_blocks, n_rows = triton.cdiv(channels, BLOCK_D), triton.cdiv(length, BACK_ROWS * BLOCKS)
    shares = x.new_empty(batch * n_rows, W + 1, channels, dtype=torch.float32)
    conv_backward_kernel[(n_blocks * n_rows * batch,)](
        x, weight, bias, None if initial_state is None else initial_state.contiguous(), marks,
        dy, dx, None if initial_state is None else dstate, shares,
        length, channels, n_blocks, n_rows, x.stride(0), dy.stride(0), dx.stride(0),
        *weight.stride(), 0 if marks is None else marks.stride(0),
        W=W, BLOCK_D=BLOCK_D, ROWS=BACK_ROWS, BLOCKS=BLOCKS, SILU=silu, REVERSE=reverse,
        X_ROW=x.stride(1), DY_ROW=dy.stride(1), DX_ROW=dx.stride(1), num_warps=1,
    )  # fmt: skip
    total = shares.sum(0)
    dweight.copy_(total[:W].flip(0).t())
    if bias is not None:
        dbias.copy_(total[W])
    return dweight, dbias, dstate


@_forward.register_fake
def _(x: Tensor, *others: Tensor | bool | None) -> Tensor:
    return x.new_empty(x.shape)


@_backward.register_fake
def _(
    dy: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None,
    *others: Tensor | bool | None,
) -> list[Tensor]:  # fmt: skip
    return _empty_gradients(x, weight, bias, initial_state)


def _empty_gradients(x: Tensor, *others: Tensor | None) -> list[Tensor]:
    return [x.new_empty(0) if y is None else y.new_empty(y.shape) for y in (x, *others)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, silu, reverse = inputs
    ctx.save_for_backward(*tensors)
    ctx.modes = silu, reverse


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    found = _backward(dy, *saved, *ctx.modes)
    present = zip(found, saved[:4], strict=True)
    return (*(gradient if x is not None else None for gradient, x in present), None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
