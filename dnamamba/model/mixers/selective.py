"""What a Mamba-1 layer does between its two projections: convolve, select, scan.

The letters are those of ``dnamamba.model.mixers.mamba1``.
"""

import math
from collections.abc import Callable
from copy import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.config import SelectiveConfig
from dnamamba.model.footprint import Reading, recomputed
from dnamamba.model.mixers.mixer import is_plain
from dnamamba.model.recompute import recomputes
from dnamamba_kernels import (
    BlockMemory,
    BlockShape,
    Direction,
    fused_block_memory,
    memory_by_ops,
)
from dnamamba_kernels.pieces import causal_conv1d, selective_scan

__all__ = ["OneDirection", "Selective", "branch_projection", "selective_memory"]

_DT_FLOOR = 1e-4


class Selective(nn.Module):
    """The parts of one direction, for a module that has them among its own.

    Parameter names are those of the reference implementation.
    """

    conv1d: nn.Conv1d
    x_proj: nn.Linear
    dt_proj: nn.Linear
    A_log: nn.Parameter
    D: nn.Parameter
    no_weight_decay = frozenset({"A_log"})

    def add_parts(self, config: SelectiveConfig) -> None:
        """Make them, as PyTorch initialises them."""
        D, N, R = config.d_inner, config.d_state, config.rank
        self.conv1d = nn.Conv1d(D, D, config.d_conv, groups=D)
        self.x_proj = nn.Linear(D, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, D)
        self.A_log = nn.Parameter(torch.empty(D, N, dtype=torch.float32))
        self.D = nn.Parameter(torch.empty(D, dtype=torch.float32))

    @torch.no_grad()
    def reset_parts(self, config: SelectiveConfig) -> None:
        """What differs from PyTorch's own initialisation (paper, section 3.6 and appendix E)."""
        if self.A_log.is_meta:  # shapes alone are wanted
            return
        # S4D-real: A = -1, -2, ..., -N in every channel.
        self.A_log.copy_(torch.arange(1, config.d_state + 1, dtype=torch.float32).log())
        self.D.fill_(1.0)
        nn.init.uniform_(self.dt_proj.weight, -(config.rank**-0.5), config.rank**-0.5)
        # The bias is the inverse of softplus at a log-uniform Δ.
        low, high = math.log(config.dt_min), math.log(config.dt_max)
        dt = torch.empty_like(self.D).uniform_(low, high).exp().clamp_(min=_DT_FLOOR)
        self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The error of a rounded A compounds along a sequence, so A_log and D stay in fp32 when
        # the model is cast to half precision.
        def keep(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            half = moved.dtype in (torch.bfloat16, torch.float16)
            return tensor.to(moved.device) if half else moved

        if recurse:
            for child in self.children():
                child._apply(fn)
        super()._apply(keep, recurse=False)
        return self

    @property
    def A(self) -> Tensor:
        """The decay (D, N), negative."""
        return -torch.exp(self.A_log)

    def select(self, u: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """delta, its bias (None where already added), B and C of u (..., D)."""
        rank, B, C = self.selected(u)
        if is_plain(self.dt_proj, nn.Linear):
            # The scan adds the bias in fp32: in bf16 the sum would lose 1.5 % of a Δ of 1e-3.
            return F.linear(rank, self.dt_proj.weight), self.dt_proj.bias, B, C
        return self.dt_proj(rank), None, B, C

    def selected(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What delta is made of (..., R), B and C of u (..., D)."""
        N = self.A_log.shape[1]
        x = self.x_proj(u)
        rank, B, C = x.split((x.shape[-1] - 2 * N, N, N), dim=-1)
        return rank, B, C

    def parts_are_plain(self) -> bool:
        """True where using them is nothing but their weights: nothing wrapped, nowhere a hook."""
        linears = is_plain(self.x_proj, nn.Linear) and is_plain(self.dt_proj, nn.Linear)
        return linears and is_plain(self.conv1d, nn.Conv1d) and self.x_proj.bias is None

    def weights(self, dtype: torch.dtype) -> Direction:
        """What a fused block takes of them, the projections in ``dtype``."""
        return Direction(
            self.conv1d.weight[:, 0],
            self.conv1d.bias,
            self.x_proj.weight.to(dtype),
            self.dt_proj.weight.to(dtype),
            self.dt_proj.bias,
            self.A,
            self.D,
        )


class OneDirection(Selective):
    """One of a layer's directions, as a module of its own.

    Args:
        config: the sizes.
        reverse: read from the right.
    """

    def __init__(self, config: SelectiveConfig, reverse: bool) -> None:
        super().__init__()
        self.reverse = reverse
        self.add_parts(config)
        self.reset_parts(config)

    def turned(self) -> "OneDirection":
        """With these weights, the other direction."""
        other = copy(self)
        other.reverse = not self.reverse
        return other

    def forward(self, inputs: Tensor, z: Tensor, resets: Tensor | None) -> Tensor:
        """y (B, L, D) of the two halves that the in-projection gives, (B, L, D) each."""
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        u, _ = causal_conv1d(inputs, weight, bias, resets=resets, reverse=self.reverse)
        delta, shift, B, C = self.select(u)
        y, _ = selective_scan(
            u, delta, self.A, B, C, self.D, z, shift, resets=resets, reverse=self.reverse
        )
        return y


def branch_projection(config: SelectiveConfig) -> nn.Linear:
    """From the inner channels to the branch, as it is initialised."""
    projection = nn.Linear(config.d_inner, config.d_model, bias=False)
    with torch.no_grad():
        if not projection.weight.is_meta:
            # One branch a layer is added to the stream: its variance must not grow with depth.
            projection.weight.div_(math.sqrt(config.n_layers))
    return projection


def selective_memory(
    config: SelectiveConfig, directions: int, reading: Reading, fuses: bool
) -> BlockMemory:
    """What a block of so many directions holds: see ``Mixer.block_memory``."""
    shape = BlockShape(
        reading.rows,
        reading.length,
        config.d_model,
        config.d_inner,
        config.d_state,
        config.rank,
        directions,
        reading.itemsize,
    )
    if fuses:
        return fused_block_memory(shape, recomputes(reading.recompute))
    stream, branch = shape.of(config.d_model, 4), shape.of(config.d_model)
    return recomputed(memory_by_ops(shape, reading.on_gpu), reading.recompute, stream, branch)
