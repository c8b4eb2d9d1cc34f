"""One direction of a Mamba-1 layer: convolution, selection and scan, between two projections.

The letters are those of ``dnamamba.model.mixers.mamba1``.
"""

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.config import SelectiveConfig
from dnamamba.model.mixers.mixer import is_plain
from dnamamba_kernels import causal_conv1d, selective_scan

__all__ = ["Direction"]

_DT_FLOOR = 1e-4


class Direction(nn.Module):
    """What reads a layer's inputs from one side on.

    Args:
        config: the sizes.
        reverse: from the right.
    """

    no_weight_decay = frozenset({"A_log"})

    def __init__(self, config: SelectiveConfig, reverse: bool) -> None:
        super().__init__()
        D, N, R = config.d_inner, config.d_state, config.rank
        self.reverse = reverse
        self.conv1d = nn.Conv1d(D, D, config.d_conv, groups=D)
        self.x_proj = nn.Linear(D, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, D)
        self.A_log = nn.Parameter(torch.empty(D, N, dtype=torch.float32))
        self.D = nn.Parameter(torch.empty(D, dtype=torch.float32))
        self._reset_parameters(config)

    @torch.no_grad()
    def _reset_parameters(self, config: SelectiveConfig) -> None:
        """What differs from PyTorch's own initialisation (paper, section 3.6 and appendix E)."""
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

    def forward(self, inputs: Tensor, z: Tensor, resets: Tensor | None) -> Tensor:
        """y (B, L, D) of the in-projection's two halves, (B, L, D) each."""
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        u, _ = causal_conv1d(inputs, weight, bias, resets=resets, reverse=self.reverse)
        N = self.A_log.shape[1]
        x = self.x_proj(u)
        rank, B, C = x.split((x.shape[-1] - 2 * N, N, N), dim=-1)
        if is_plain(self.dt_proj, nn.Linear):
            # The scan adds the bias in fp32: in bf16 the sum would lose 1.5 % of a Δ of 1e-3.
            delta, shift = F.linear(rank, self.dt_proj.weight), self.dt_proj.bias
        else:
            delta, shift = self.dt_proj(rank), None
        A = -torch.exp(self.A_log)
        y, _ = selective_scan(
            u, delta, A, B, C, self.D, z, shift, resets=resets, reverse=self.reverse
        )
        return y
