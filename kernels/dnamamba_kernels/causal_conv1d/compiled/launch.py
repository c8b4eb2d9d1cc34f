"""The compiled convolution, forward and backward, block by block on the CPU's threads.

The backward computes the sum before the activation again rather than keeping it.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.causal_conv1d.compiled.kernel import (
    Inputs,
    convolve_rows,
    differentiate_rows,
)
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.state import add_through_final_state, final_state
from dnamamba_kernels.compiled.rows import array, cuts, rows
from dnamamba_kernels.parallel import Block

__all__ = ["backward", "forward"]


def forward(conv: Convolution) -> tuple[Tensor, Tensor]:
    """y and the final state."""
    y = conv.x.new_empty(conv.x.shape, dtype=torch.float32)
    carried, marks = _carried(conv), cuts(conv.resets, len(y), conv.reverse)

    def fill(block: Block) -> None:
        convolve_rows(_inputs(conv, block, carried, marks), rows(block.cut(y)))

    parallel.run([partial(fill, block) for block in parallel.blocks(conv.x, conv.taps + 1)])
    return y.to(conv.x.dtype), final_state(conv)


def backward(conv: Convolution, dy: Tensor | None, dfinal: Tensor | None) -> list[Tensor]:
    """The gradients of x, weight, bias and initial_state; empty for one left out."""
    x, carried, W = conv.x, _carried(conv), conv.taps + 1
    dy = torch.zeros_like(x) if dy is None else dy
    marks = cuts(conv.resets, len(x), conv.reverse)
    dx, d_carried = x.new_zeros(x.shape, dtype=torch.float32), torch.zeros_like(carried)
    d_taps = dx.new_zeros(W + 1, x.shape[2])  # the bias below them

    def differentiate(block: Block) -> NDArray[np.float32]:
        inputs, own = _inputs(conv, block, carried, marks), rows(block.cut(dx))
        own_carried = rows(block.cut(d_carried))
        share = np.zeros((W + 1, inputs.taps.shape[1]), np.float32)
        grad = rows(block.cut(dy))
        differentiate_rows(inputs, grad, own, own_carried, share[:W], share[W])
        return share

    blocks = parallel.blocks(x, 4 * W)
    shares = parallel.run([partial(differentiate, block) for block in blocks])
    for block, share in zip(blocks, shares, strict=True):
        d_taps[:, block.channels] += torch.from_numpy(share)
    grad_state = d_carried.mT
    if dfinal is not None:
        add_through_final_state(conv, dfinal, dx, grad_state)
    gradients = dx, d_taps[:W].t(), d_taps[W], grad_state
    return [
        dx.new_empty(0)
        if like is None
        else gradient.to(like.dtype, copy=True, memory_format=torch.contiguous_format)
        for gradient, like in zip(gradients, conv[:4], strict=True)
    ]


def _carried(conv: Convolution) -> Tensor:
    """(B, W-1, D), dense."""
    if conv.initial_state is not None:
        return conv.initial_state.float().mT.contiguous()
    return conv.x.new_zeros(len(conv.x), conv.taps, conv.x.shape[2], dtype=torch.float32)


def _inputs(conv: Convolution, block: Block, carried: Tensor, marks: NDArray[np.bool_]) -> Inputs:
    nothing = np.zeros(carried[..., block.channels].shape[2], np.float32)
    return Inputs(
        x=rows(block.cut(conv.x)),
        taps=array(conv.weight[block.channels].t()),
        bias=nothing if conv.bias is None else array(conv.bias[block.channels]),
        carried=rows(block.cut(carried)),
        cuts=marks[block.rows],
        reverse=conv.reverse,
        length=conv.x.shape[1],
    )
