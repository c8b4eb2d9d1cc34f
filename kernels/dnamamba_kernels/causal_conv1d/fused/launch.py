"""The fused convolution, forward and backward: layout, launches and sums."""

import torch
import triton
from torch import Tensor

from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.fused.kernels import (
    BACK_ROWS,
    BLOCK_D,
    BLOCKS,
    REGISTERS,
    ROWS,
    conv_backward_kernel,
    conv_kernel,
)
from dnamamba_kernels.causal_conv1d.state import add_through_final_state, final_state
from dnamamba_kernels.dense import dense

__all__ = ["backward", "convolve", "forward", "run_backward"]


def forward(conv: Convolution) -> tuple[Tensor, Tensor]:
    """y and the final state."""
    return convolve(conv), final_state(conv)


def convolve(conv: Convolution) -> Tensor:
    """y alone."""
    x, (batch, length, channels) = dense(conv.x), conv.x.shape
    y = x.new_empty(x.shape)
    if not x.numel():
        return y
    marks, state = _marks(conv), conv.initial_state
    n_blocks, n_rows = triton.cdiv(channels, BLOCK_D), triton.cdiv(length, ROWS)
    conv_kernel[(n_blocks * n_rows * batch,)](
        x, conv.weight, dense(conv.bias), None if state is None else state.contiguous(), marks, y,
        length, channels, n_blocks, n_rows, x.stride(0), y.stride(0), *conv.weight.stride(),
        0 if marks is None else marks.stride(0),
        W=conv.taps + 1, BLOCK_D=BLOCK_D, ROWS=ROWS, REVERSE=conv.reverse,
        X_ROW=x.stride(1), Y_ROW=y.stride(1), num_warps=1,
    )  # fmt: skip
    return y


def backward(conv: Convolution, dy: Tensor | None, dfinal: Tensor | None) -> list[Tensor]:
    """The gradients of x, weight, bias and initial_state; empty for one left out."""
    dy = torch.zeros_like(conv.x) if dy is None else dy
    return run_backward(conv, dy, dfinal, conv.gradients())


def run_backward(
    conv: Convolution, dy: Tensor, dfinal: Tensor | None, out: list[Tensor], add: bool = False
) -> list[Tensor]:
    """``out``, filled: ``conv.gradients()``. With ``add`` that of x is added to what is in it."""
    x, (batch, length, channels) = dense(conv.x), conv.x.shape
    if not x.numel():
        return [gradient.zero_() for gradient in out]
    dx, dweight, dbias, dstate = out
    dy, marks, state, W = dense(dy), _marks(conv), conv.initial_state, conv.taps + 1
    n_blocks, n_rows = triton.cdiv(channels, BLOCK_D), triton.cdiv(length, BACK_ROWS * BLOCKS)
    plain = not add and marks is None and state is None
    shares = x.new_empty(batch * n_rows, W + 1, channels, dtype=torch.float32)
    conv_backward_kernel[(n_blocks * n_rows * batch,)](
        x, conv.weight, dense(conv.bias), None if state is None else state.contiguous(), marks,
        dy, dx, None if state is None else dstate, shares,
        length, channels, n_blocks, n_rows, x.stride(0), dy.stride(0), dx.stride(0),
        *conv.weight.stride(), 0 if marks is None else marks.stride(0),
        W=W, BLOCK_D=BLOCK_D, ROWS=BACK_ROWS, BLOCKS=BLOCKS, REVERSE=conv.reverse,
        X_ROW=x.stride(1), DY_ROW=dy.stride(1), DX_ROW=dx.stride(1), ADD=add, num_warps=1,
        maxnreg=None if plain else REGISTERS,
    )  # fmt: skip
    total = shares.sum(0)
    dweight.copy_(total[:W].flip(0).t())
    if conv.bias is not None:
        dbias.copy_(total[W])
    if dfinal is not None:
        add_through_final_state(conv, dfinal, dx, None if state is None else dstate)
    return out


def _marks(conv: Convolution) -> Tensor | None:
    return None if conv.resets is None else conv.resets.contiguous().view(torch.uint8)
