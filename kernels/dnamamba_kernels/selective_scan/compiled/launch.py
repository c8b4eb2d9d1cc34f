"""The compiled scan where no gradient follows, block by block on the CPU's threads."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.compiled.math import LOG2_E
from dnamamba_kernels.compiled.rows import array, cuts, rows
from dnamamba_kernels.selective_scan.chunked import launch as chunked
from dnamamba_kernels.selective_scan.chunked.launch import backward, outputs
from dnamamba_kernels.selective_scan.compiled.kernel import scan_rows
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["backward", "forward", "outputs"]


def forward(scan: Scan, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """``outputs``, filled."""
    if keep:
        return chunked.forward(scan, keep)
    batch, _, channels = scan.u.shape
    y = torch.empty(scan.u.shape)
    states = torch.zeros(batch, scan.A.shape[1], channels)
    if scan.initial_state is not None:
        states.copy_(scan.initial_state.mT)
    marks = cuts(scan.resets, batch, scan.reverse)
    tasks = [
        partial(_fill, scan.rows(block.rows).channels(block.channels), marks[block.rows],
                block.cut(y), block.cut(states))
        for block in parallel.blocks(scan.u, scan.A.shape[1])
    ]  # fmt: skip
    parallel.run(tasks)
    kept = states.new_empty(0, *states.shape)
    return y.to(scan.u.dtype), scan.leave(states).mT.contiguous(), kept


def _fill(scan: Scan, marks: NDArray[np.bool_], y: Tensor, states: Tensor) -> None:
    nothing = torch.zeros(scan.u.shape[2])
    own = states.contiguous()
    scan_rows(
        rows(scan.u),
        rows(scan.delta),
        array(scan.A.t()) * LOG2_E,
        rows(scan.B),
        rows(scan.C),
        array(nothing if scan.D is None else scan.D),
        rows(scan.z),
        array(nothing if scan.delta_bias is None else scan.delta_bias),
        marks,
        scan.delta_softplus,
        scan.reverse,
        scan.u.shape[1],
        rows(y),
        own.numpy(),
    )
    states.copy_(own)
