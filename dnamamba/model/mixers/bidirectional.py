"""The bidirectional Mamba-1 layer: two directions between one pair of projections.

Schiff et al. 2024, "Caduceus" (arXiv:2403.03234), section 3.1, as its published code has it: the
in- and out-projection serve both directions, whose outputs are added. Neither flips a tensor: the
second scans and convolves from the right. Parameter names are those of the published code, where
``in_proj`` and ``out_proj`` are stored under ``mamba_fwd``.
"""

import torch
from torch import Tensor, nn

from dnamamba.config import SelectiveConfig
from dnamamba.model.footprint import Reading
from dnamamba.model.mixers.mixer import Mixer, compute_dtype, is_plain, with_parts
from dnamamba.model.mixers.selective import OneDirection, branch_projection, selective_memory
from dnamamba.model.norm import RMSNorm
from dnamamba_kernels import BlockMemory, bidirectional_block, fuses_block

__all__ = ["BiMambaMixer"]


class BiMambaMixer(Mixer):
    """Project, read from both sides, add, project; the gate is one for both."""

    reads_pieces = True
    adapter_targets = ("in_proj", "x_proj", "dt_proj", "out_proj")

    def __init__(self, config: SelectiveConfig) -> None:
        super().__init__(config)
        self.in_proj = nn.Linear(config.d_model, 2 * config.d_inner, bias=False)
        self.mamba_fwd = OneDirection(config, reverse=False)
        self.mamba_rev = OneDirection(config, reverse=True)
        self.out_proj = branch_projection(config)

    def forward(
        self, x: Tensor, state: None, resets: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor, None]:
        if lengths is not None:
            # Padding is one more packed segment: neither direction comes out of it.
            ends = torch.arange(x.shape[1], device=x.device) == lengths[:, None]
            resets = ends if resets is None else resets | ends
        inputs, z = self.in_proj(x).chunk(2, dim=-1)  # (B, L, D) each, views of one tensor
        y = self.mamba_fwd(inputs, z, resets) + self.mamba_rev(inputs, z, resets)
        return self.out_proj(y), None

    def turned(self) -> "BiMambaMixer":
        fwd, rev = self.mamba_rev.turned(), self.mamba_fwd.turned()
        return with_parts(self, mamba_fwd=fwd, mamba_rev=rev)

    def fuses(self, norm: RMSNorm, x: Tensor, lengths: Tensor | None) -> bool:
        plain = is_plain(norm, RMSNorm) and is_plain(self, BiMambaMixer)
        linears = is_plain(self.in_proj, nn.Linear) and is_plain(self.out_proj, nn.Linear)
        plain = plain and linears and self.in_proj.bias is None and self.out_proj.bias is None
        for direction in (self.mamba_fwd, self.mamba_rev):
            plain = plain and is_plain(direction, OneDirection) and direction.parts_are_plain()
        return plain and fuses_block(x.device, x.dtype)

    @classmethod
    def block_memory(cls, config: SelectiveConfig, reading: Reading, fuses: bool) -> BlockMemory:
        return selective_memory(config, 2, reading, fuses)

    def fused(
        self,
        norm: RMSNorm,
        x: Tensor,
        residual: Tensor | None,
        state: None,
        resets: Tensor | None,
        lengths: Tensor | None,
        recompute: bool,
    ) -> tuple[Tensor, Tensor, None]:
        dtype = compute_dtype(x)
        branch, stream = bidirectional_block(
            x,
            residual,
            norm.weight,
            norm.eps,
            self.in_proj.weight.to(dtype),
            self.mamba_fwd.weights(dtype),
            self.mamba_rev.weights(dtype),
            self.out_proj.weight.to(dtype),
            resets,
            lengths,
            recompute=recompute,
        )
        return branch, stream, None
