"""The causal convolution in PyTorch: a multiply-add per tap over panels that fit the cache.

Rows or channels run side by side on the CPU's threads. The backward computes the sum before the
activation again rather than keeping it. Both are operators of PyTorch's, so that a compiled model
calls them as they are.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.causal_conv1d.eager.panel import Convolution

__all__ = ["causal_conv1d_eager"]


def causal_conv1d_eager(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: str | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    y, final_state = _forward(x, weight, bias, initial_state, resets, activation == "silu", reverse)
    return y, final_state


@torch.library.custom_op("dnamamba::eager_conv", mutates_args=())
def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    conv = Convolution.of(x, weight, bias, initial_state, resets, silu, reverse)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    blocks = parallel.blocks(x, weight.shape[1])
    parallel.run([partial(_fill, conv.part(block), block.cut(y)) for block in blocks])
    return y, _final_state(conv)


@_forward.register_fake
def _(x: Tensor, weight: Tensor, *_: Tensor | bool | None) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, x.new_empty(x.shape[0], x.shape[2], weight.shape[1] - 1)


@torch.library.custom_op("dnamamba::eager_conv_backward", mutates_args=())
def _backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
    grad_y: Tensor,
    grad_final: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, weight, bias and the initial state, the latter two there or not."""
    conv = Convolution.of(x, weight, bias, initial_state, resets, silu, reverse)
    length, beside = x.shape[1], weight.shape[1] - 1
    grads = conv.taps.new_zeros(x.shape[0], length + beside, x.shape[2])
    if grad_final is not None:
        _add_final_state(conv, grad_final, grads)
    grad_taps = conv.taps.new_zeros(beside + 2, x.shape[2])
    blocks = parallel.blocks(x, 4 * weight.shape[1])
    tasks = [
        partial(_accumulate, conv.part(block), block.cut(grad_y), block.cut(grads))
        for block in blocks
    ]
    for block, share in zip(blocks, parallel.run(tasks), strict=True):
        grad_taps[:, block.channels] += share
    grad_carried, grad_x = grads.split((beside, length), 1)
    grad_weight = grad_taps[:-1]
    if reverse:
        grad_x, grad_carried = grads.split((length, beside), 1)
        grad_carried, grad_weight = grad_carried.flip(1), grad_weight.flip(0)
    grad_bias = grad_taps[-1].to(weight.dtype if bias is None else bias.dtype)

    def own(tensor: Tensor, dtype: torch.dtype) -> Tensor:  # outputs may not share memory
        return tensor.to(dtype, copy=True, memory_format=torch.contiguous_format)

    return (
        own(grad_x, x.dtype),
        own(grad_weight.t(), weight.dtype),
        grad_bias,
        own(grad_carried.mT, x.dtype),
    )


@_backward.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, *_: Tensor | bool | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (channels, width), dense = weight.shape, torch.contiguous_format
    return (
        torch.empty_like(x, memory_format=dense),
        torch.empty_like(weight, memory_format=dense),
        (weight if bias is None else bias).new_empty(channels),
        x.new_empty(x.shape[0], channels, width - 1),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, silu, reverse = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.silu, ctx.reverse = silu, reverse


def _differentiate(
    ctx: Any, grad_y: Tensor | None, grad_final: Tensor | None
) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    if grad_y is None:
        grad_y = torch.zeros_like(tensors[0])
    grads = _backward(*tensors, ctx.silu, ctx.reverse, grad_y, grad_final)
    given = [None if t is None else grad for t, grad in zip(tensors[:4], grads, strict=True)]
    return (*given, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)


def _fill(conv: Convolution, y: Tensor) -> None:
    for panel in conv.panels():
        y[panel.at] = panel.outputs()


def _accumulate(conv: Convolution, grad_y: Tensor, grads: Tensor) -> Tensor:
    """Add to the inputs' gradients, the carried ones' with them; those of taps and bias."""
    beside = conv.carried.shape[1]
    grad_taps = conv.taps.new_zeros(beside + 2, grads.shape[2])
    for panel in conv.panels():
        rows, positions = panel.at
        read = grads[rows, positions.start : positions.stop + beside]
        panel.backward(grad_y[panel.at], read, grad_taps)
    return grad_taps


def _final_state(conv: Convolution) -> Tensor:
    """The last inputs of the scan (B, D, W-1), oldest first, as far as no mark hides them."""
    start = 0 if conv.reverse else conv.x.shape[1]
    state = conv.read(slice(None), start, start + conv.carried.shape[1])
    if conv.left is not None:
        state = state.masked_fill(conv.left[:, :, None], 0.0)
    state = state.flip(1) if conv.reverse else state
    return state.mT.contiguous()


def _add_final_state(conv: Convolution, grad_final: Tensor, grads: Tensor) -> None:
    """Add the final state's gradient to that of the inputs and the carried ones."""
    start = 0 if conv.reverse else conv.x.shape[1]
    grad = grad_final.mT
    grad = grad.flip(1) if conv.reverse else grad
    if conv.left is not None:
        grad = grad.masked_fill(conv.left[:, :, None], 0.0)
    grads[:, start : start + conv.carried.shape[1]] += grad
