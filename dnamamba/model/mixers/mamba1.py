"""The Mamba-1 layer: the letters, and the one module in which they all meet.

Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces"
(arXiv:2312.00752), Algorithm 2 and section 3.4. Glossary, here and in the kernels:

==========  =============================================================  ==============
symbol      meaning                                                        in the paper
==========  =============================================================  ==============
B           batch                                                          B
L           positions                                                      L
D           inner channels, ``expand * d_model``                           D, ED
N           state per channel                                              N
R           rank of the projection to Δ                                    R
V           token ids
W           taps of the causal convolution
u           input of the scan, (B, L, D)                                   x
delta       step before its bias and softplus, (B, L, D)                   s_Δ(x)
A           decay, (D, N), negative; stored as ``A_log = log(-A)``         A
B, C        input and output maps of each position, (B, L, N)              B, C
D           skip from u to y, (D,)                                         D
z           gate, (B, L, D)                                                right branch
==========  =============================================================  ==============

``B`` and ``D`` each name a size and a tensor, as in the paper; shapes tell them apart. Parameter
names are those of the reference implementation, so published weights map one to one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dnamamba.config import SelectiveConfig
from dnamamba.model.footprint import Reading
from dnamamba.model.mixers.mixer import CausalMixer, compute_dtype, is_plain
from dnamamba.model.mixers.selective import Selective, branch_projection, selective_memory
from dnamamba.model.norm import RMSNorm
from dnamamba.model.state import State
from dnamamba_kernels import (
    BlockMemory,
    causal_conv1d_step,
    fuses_block,
    mamba_block,
    selective_scan_step,
)
from dnamamba_kernels.pieces import causal_conv1d, causal_conv1d_tail, selective_scan

__all__ = ["Mamba1Mixer", "Mamba1State"]


@dataclass(frozen=True)
class Mamba1State(State):
    """What a Mamba-1 carries.

    Attributes:
        conv: (n_layers, B, D, W-1), the last inputs of each convolution, oldest first.
        ssm: (n_layers, B, D, N) fp32, each layer's scan state.
    """

    conv: Tensor
    ssm: Tensor


class Mamba1Mixer(Selective, CausalMixer):
    """The selective state space layer: project, convolve, select, scan, gate, project."""

    state_type = Mamba1State
    reads_pieces = True
    adapter_targets = ("in_proj", "x_proj", "dt_proj", "out_proj")

    def __init__(self, config: SelectiveConfig) -> None:
        super().__init__(config)
        self.in_proj = nn.Linear(config.d_model, 2 * config.d_inner, bias=False)
        self.add_parts(config)
        self.out_proj = branch_projection(config)
        self.reset_parts(config)

    def state_shapes(self, batch: int) -> tuple[tuple[int, ...], ...]:
        """Of ``conv`` and ``ssm``."""
        D, N = self.A_log.shape
        return (batch, D, self.conv1d.kernel_size[0] - 1), (batch, D, N)

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> Mamba1State:
        conv, ssm = self.state_shapes(batch)
        exact = torch.promote_types(dtype, torch.float32)
        return Mamba1State(
            torch.zeros(conv, device=device, dtype=dtype),
            torch.zeros(ssm, device=device, dtype=exact),
        )

    def forward(
        self,
        x: Tensor,
        state: Mamba1State | None = None,
        resets: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, Mamba1State]:
        conv_state, ssm_state = (None, None) if state is None else state.tensors
        taps = self.conv1d.weight[:, 0], self.conv1d.bias
        inputs, z = self.in_proj(x).chunk(2, dim=-1)  # (B, L, D) each, views of one tensor
        if conv_state is not None:
            conv_state = conv_state.to(inputs.dtype)
        padding = None
        if lengths is not None:
            padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
            resets = None if resets is None else resets & ~padding
        u, tail = causal_conv1d(inputs, *taps, initial_state=conv_state, resets=resets)
        delta, bias, B, C = self.select(u)
        if lengths is not None and padding is not None:
            tail = causal_conv1d_tail(inputs, tail.shape[-1], conv_state, resets, lengths)
            # softplus(-inf) = 0: such a position leaves the state as it found it.
            delta = delta.masked_fill(padding[..., None], -math.inf)
        y, final = selective_scan(
            u, delta, self.A, B, C, self.D, z, bias, initial_state=ssm_state, resets=resets
        )
        return self.out_proj(y), Mamba1State(tail, final)

    def step(
        self, x: Tensor, state: Mamba1State, in_place: bool = False
    ) -> tuple[Tensor, Mamba1State]:
        inputs, z = self.in_proj(x).chunk(2, dim=-1)
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        before = state.conv if in_place else state.conv.to(inputs.dtype)
        u, tail = causal_conv1d_step(before, inputs, weight, bias, in_place=in_place)
        rank, B, C = self.selected(u)
        plain = is_plain(self.dt_proj, nn.Linear)
        y, final = selective_scan_step(
            state.ssm,
            u,
            rank if plain else self.dt_proj(rank),
            self.A_log,
            B,
            C,
            self.D,
            z,
            self.dt_proj.bias if plain else None,
            dt_weight=self.dt_proj.weight if plain else None,
            log_A=True,
            in_place=in_place,
        )
        return self.out_proj(y), Mamba1State(tail, final)

    def fuses(self, norm: RMSNorm, x: Tensor, lengths: Tensor | None) -> bool:
        plain = is_plain(norm, RMSNorm) and self._is_plain()
        return plain and fuses_block(x.device, x.dtype)

    def fused(
        self,
        norm: RMSNorm,
        x: Tensor,
        residual: Tensor | None,
        state: Mamba1State | None,
        resets: Tensor | None,
        lengths: Tensor | None,
        recompute: bool,
    ) -> tuple[Tensor, Tensor, Mamba1State]:
        dtype = compute_dtype(x)
        direction = self.weights(dtype)
        branch, stream, conv, ssm = mamba_block(
            x,
            residual,
            norm.weight,
            norm.eps,
            self.in_proj.weight.to(dtype),
            *direction,
            self.out_proj.weight.to(dtype),
            None if state is None else state.conv.to(dtype),
            None if state is None else state.ssm,
            resets,
            lengths,
            recompute=recompute,
        )
        return branch, stream, Mamba1State(conv, ssm)

    @classmethod
    def block_memory(cls, config: SelectiveConfig, reading: Reading, fuses: bool) -> BlockMemory:
        return selective_memory(config, 1, reading, fuses)

    def _is_plain(self) -> bool:
        """True where calling it is nothing but its weights: nothing wrapped, nowhere a hook."""
        ends = (self.in_proj, self.out_proj)
        plain = all(is_plain(end, nn.Linear) and end.bias is None for end in ends)
        return plain and self.parts_are_plain() and is_plain(self, Mamba1Mixer)
