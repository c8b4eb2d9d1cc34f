"""The compiled convolution where no gradient follows, block by block on the CPU's threads."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.causal_conv1d.compiled.kernel import convolve_rows
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.eager.launch import backward
from dnamamba_kernels.causal_conv1d.state import final_state
from dnamamba_kernels.compiled.rows import array, cuts, rows
from dnamamba_kernels.parallel import Block

__all__ = ["backward", "forward"]


def forward(conv: Convolution) -> tuple[Tensor, Tensor]:
    """y and the final state."""
    batch, _, channels = conv.x.shape
    y = conv.x.new_empty(conv.x.shape, dtype=torch.float32)
    state = conv.initial_state
    carried = y.new_zeros(batch, conv.taps, channels) if state is None else state.mT.contiguous()
    marks = cuts(conv.resets, batch, conv.reverse)
    tasks = [
        partial(_fill, conv, block, block.cut(carried), marks[block.rows], block.cut(y))
        for block in parallel.blocks(conv.x, conv.taps + 1)
    ]
    parallel.run(tasks)
    return y.to(conv.x.dtype), final_state(conv)


def _fill(
    conv: Convolution, block: Block, carried: Tensor, marks: NDArray[np.bool_], y: Tensor
) -> None:
    x, weight = block.cut(conv.x), conv.weight[block.channels]
    nothing = np.zeros(x.shape[2], np.float32)
    convolve_rows(
        rows(x),
        array(weight.t()),
        nothing if conv.bias is None else array(conv.bias[block.channels]),
        rows(carried),
        marks,
        conv.reverse,
        x.shape[1],
        rows(y),
    )
