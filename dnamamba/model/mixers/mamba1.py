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
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.config import MambaConfig
from dnamamba.model.mixers.mixer import CausalMixer, is_plain
from dnamamba.model.norm import RMSNorm
from dnamamba.model.state import State
from dnamamba_kernels import (
    causal_conv1d,
    causal_conv1d_step,
    causal_conv1d_tail,
    fuses_block,
    mamba_block,
    selective_scan,
    selective_scan_step,
)

__all__ = ["Mamba1Mixer", "Mamba1State"]

_DT_FLOOR = 1e-4


@dataclass(frozen=True)
class Mamba1State(State):
    """What a Mamba-1 carries.

    Attributes:
        conv: (n_layers, B, D, W-1), the last inputs of each convolution, oldest first.
        ssm: (n_layers, B, D, N) fp32, each layer's scan state.
    """

    conv: Tensor
    ssm: Tensor


class Mamba1Mixer(CausalMixer):
    """The selective state space layer: project, convolve, select, scan, gate, project."""

    state_type = Mamba1State
    adapter_targets = ("in_proj", "x_proj", "dt_proj", "out_proj")
    no_weight_decay = frozenset({"A_log"})

    def __init__(self, config: MambaConfig) -> None:
        super().__init__(config)
        D, N, R = config.d_inner, config.d_state, config.rank
        self.in_proj = nn.Linear(config.d_model, 2 * D, bias=False)
        self.conv1d = nn.Conv1d(D, D, config.d_conv, groups=D)
        self.x_proj = nn.Linear(D, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, D)
        self.A_log = nn.Parameter(torch.empty(D, N, dtype=torch.float32))
        self.D = nn.Parameter(torch.empty(D, dtype=torch.float32))
        self.out_proj = nn.Linear(D, config.d_model, bias=False)
        self._reset_parameters(config)

    @torch.no_grad()
    def _reset_parameters(self, config: MambaConfig) -> None:
        """What differs from PyTorch's own initialisation (paper, section 3.6 and appendix E)."""
        # S4D-real: A = -1, -2, ..., -N in every channel.
        self.A_log.copy_(torch.arange(1, config.d_state + 1, dtype=torch.float32).log())
        self.D.fill_(1.0)
        nn.init.uniform_(self.dt_proj.weight, -(config.rank**-0.5), config.rank**-0.5)
        # The bias is the inverse of softplus at a log-uniform Δ.
        low, high = math.log(config.dt_min), math.log(config.dt_max)
        dt = torch.empty_like(self.D).uniform_(low, high).exp().clamp_(min=_DT_FLOOR)
        self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
        # One branch a layer is added to the stream: its variance must not grow with depth.
        self.out_proj.weight.div_(math.sqrt(config.n_layers))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Mamba1Mixer":
        # The error of a rounded A compounds along a sequence, so A_log and D stay in fp32 when
        # the model is cast to half precision.
        def keep(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            half = moved.dtype in (torch.bfloat16, torch.float16)
            return tensor.to(moved.device) if half else moved

        if recurse:
            for child in self.children():
                child._apply(fn)
        return super()._apply(keep, recurse=False)

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
        taps, A = (self.conv1d.weight[:, 0], self.conv1d.bias), -torch.exp(self.A_log)
        inputs, z = self.in_proj(x).chunk(2, dim=-1)  # (B, L, D) each, views of one tensor
        if conv_state is not None:
            conv_state = conv_state.to(inputs.dtype)
        padding = None
        if lengths is not None:
            padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
            resets = None if resets is None else resets & ~padding
        u, tail = causal_conv1d(inputs, *taps, initial_state=conv_state, resets=resets)
        delta, bias, B, C = self._select(u)
        if lengths is not None and padding is not None:
            tail = causal_conv1d_tail(inputs, tail.shape[-1], conv_state, resets, lengths)
            # softplus(-inf) = 0: such a position leaves the state as it found it.
            delta = delta.masked_fill(padding[..., None], -math.inf)
        y, final = selective_scan(
            u, delta, A, B, C, self.D, z, bias, initial_state=ssm_state, resets=resets
        )
        return self.out_proj(y), Mamba1State(tail, final)

    def step(
        self, x: Tensor, state: Mamba1State, in_place: bool = False
    ) -> tuple[Tensor, Mamba1State]:
        inputs, z = self.in_proj(x).chunk(2, dim=-1)
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        before = state.conv if in_place else state.conv.to(inputs.dtype)
        u, tail = causal_conv1d_step(before, inputs, weight, bias, in_place=in_place)
        rank, B, C = self._selected(u)
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
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        branch, stream, conv, ssm = mamba_block(
            x,
            residual,
            norm.weight,
            norm.eps,
            self.in_proj.weight.to(dtype),
            self.conv1d.weight[:, 0],
            self.conv1d.bias,
            self.x_proj.weight.to(dtype),
            self.dt_proj.weight.to(dtype),
            self.dt_proj.bias,
            -torch.exp(self.A_log),
            self.D,
            self.out_proj.weight.to(dtype),
            None if state is None else state.conv.to(dtype),
            None if state is None else state.ssm,
            resets,
            lengths,
            recompute=recompute,
        )
        return branch, stream, Mamba1State(conv, ssm)

    def _is_plain(self) -> bool:
        """True where calling it is nothing but its weights: nothing wrapped, nowhere a hook."""
        linears = (self.in_proj, self.x_proj, self.dt_proj, self.out_proj)
        plain = all(is_plain(linear, nn.Linear) for linear in linears)
        plain = plain and is_plain(self.conv1d, nn.Conv1d) and is_plain(self, Mamba1Mixer)
        return plain and all(x.bias is None for x in (self.in_proj, self.x_proj, self.out_proj))

    def _select(self, u: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """delta, its bias (None where already added), B and C of u (..., D)."""
        rank, B, C = self._selected(u)
        if is_plain(self.dt_proj, nn.Linear):
            # The scan adds the bias in fp32: in bf16 the sum would lose 1.5 % of a Δ of 1e-3.
            return F.linear(rank, self.dt_proj.weight), self.dt_proj.bias, B, C
        return self.dt_proj(rank), None, B, C

    def _selected(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What delta is made of (..., R), B and C of u (..., D)."""
        N = self.A_log.shape[1]
        x = self.x_proj(u)
        rank, B, C = x.split((x.shape[-1] - 2 * N, N, N), dim=-1)
        return rank, B, C
