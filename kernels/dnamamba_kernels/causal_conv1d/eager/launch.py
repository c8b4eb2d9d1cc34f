"""The convolution in PyTorch, forward and backward.

Rows or channels run side by side on the CPU's threads, panel after panel. The backward computes
the sum before the activation again rather than keeping it.
"""

from functools import partial

import torch
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.eager.panel import Layout
from dnamamba_kernels.causal_conv1d.state import add_through_final_state, final_state

__all__ = ["backward", "forward"]


def forward(conv: Convolution) -> tuple[Tensor, Tensor]:
    """y and the final state."""
    layout, y = Layout.of(conv), torch.empty_like(conv.x, memory_format=torch.contiguous_format)
    blocks = parallel.blocks(conv.x, conv.taps + 1)
    parallel.run([partial(_fill, layout.part(block), block.cut(y)) for block in blocks])
    return y, final_state(conv)


def backward(conv: Convolution, dy: Tensor | None, dfinal: Tensor | None) -> list[Tensor]:
    """The gradients of x, weight, bias and initial_state; empty for one left out."""
    x, layout = conv.x, Layout.of(conv)
    length = x.shape[1]
    # Those of the inputs with the carried ones beside them, as panels read them; and of the taps
    # with the bias below them.
    grads = layout.taps.new_zeros(x.shape[0], length + conv.taps, x.shape[2])
    grad_taps = layout.taps.new_zeros(conv.taps + 2, x.shape[2])
    _accumulate(layout, torch.zeros_like(x) if dy is None else dy, grads, grad_taps)
    if conv.reverse:
        grad_x, grad_carried = grads.split((length, conv.taps), 1)
        grad_carried, grad_weight = grad_carried.flip(1), grad_taps[:-1].flip(0)
    else:
        grad_carried, grad_x = grads.split((conv.taps, length), 1)
        grad_weight = grad_taps[:-1]
    grad_state = grad_carried.mT
    if dfinal is not None:
        add_through_final_state(conv, dfinal, grad_x, grad_state)

    def own(gradient: Tensor, like: Tensor | None) -> Tensor:  # outputs may not share memory
        if like is None:
            return gradient.new_empty(0)
        return gradient.to(like.dtype, copy=True, memory_format=torch.contiguous_format)

    gradients = grad_x, grad_weight.t(), grad_taps[-1], grad_state
    return [own(gradient, like) for gradient, like in zip(gradients, conv[:4], strict=True)]


def _fill(layout: Layout, y: Tensor) -> None:
    for panel in layout.panels():
        y[panel.at] = panel.outputs()


def _accumulate(layout: Layout, dy: Tensor, grads: Tensor, grad_taps: Tensor) -> None:
    """Add to the gradients of the inputs and of taps and bias, block by block."""
    blocks = parallel.blocks(layout.x, 4 * len(layout.taps))
    tasks = [
        partial(_back, layout.part(block), block.cut(dy), block.cut(grads)) for block in blocks
    ]
    for block, share in zip(blocks, parallel.run(tasks), strict=True):
        grad_taps[:, block.channels] += share


def _back(layout: Layout, dy: Tensor, grads: Tensor) -> Tensor:
    """Add to the inputs' gradients, the carried ones' with them; those of taps and bias."""
    beside = layout.carried.shape[1]
    grad_taps = layout.taps.new_zeros(beside + 2, grads.shape[2])
    for panel in layout.panels():
        rows, positions = panel.at
        read = grads[rows, positions.start : positions.stop + beside]
        panel.backward(dy[panel.at], read, grad_taps)
    return grad_taps
