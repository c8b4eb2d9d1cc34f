"""What the kernels take and give, as values that numba knows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dnamamba_kernels.compiled.math import LOG2_E
from dnamamba_kernels.compiled.rows import Rows, array, rows
from dnamamba_kernels.selective_scan.chunked.panel import Gradients
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Floats", "Inputs", "Sums"]

Floats = NDArray[np.float32]


class Inputs(NamedTuple):
    """A scan's arguments but its state."""

    u: Rows
    delta: Rows
    A: Floats  # (N, D), for powers of two
    B: Rows
    C: Rows
    D: Floats  # zeros for None
    z: Rows  # ``NONE`` for None
    bias: Floats  # zeros for None
    cuts: NDArray[np.bool_]  # (B, L), or (B, 0) for None
    softplus: bool
    reverse: bool
    length: int

    @classmethod
    def of(cls, scan: Scan, marks: NDArray[np.bool_]) -> "Inputs":
        nothing = np.zeros(scan.u.shape[2], np.float32)
        return cls(
            u=rows(scan.u),
            delta=rows(scan.delta),
            A=array(scan.A.t()) * LOG2_E,
            B=rows(scan.B),
            C=rows(scan.C),
            D=nothing if scan.D is None else array(scan.D),
            z=rows(scan.z),
            bias=nothing if scan.delta_bias is None else array(scan.delta_bias),
            cuts=marks,
            softplus=scan.delta_softplus,
            reverse=scan.reverse,
            length=scan.u.shape[1],
        )


class Sums(NamedTuple):
    """The gradients that the backward adds to, in the shapes of their arguments."""

    A: Floats  # (N, D)
    B: Floats
    C: Floats
    D: Floats
    bias: Floats

    @classmethod
    def of(cls, grads: Gradients) -> "Sums":
        """Views of a block's share."""

        def view(grad: Tensor | None) -> Floats:
            return np.zeros(grads.A.shape[1], np.float32) if grad is None else grad.numpy()

        return cls(*map(view, (grads.A, grads.B, grads.C, grads.D, grads.delta_bias)))
