"""The bidirectional Mamba-1 layer: two directions between one pair of projections.

Schiff et al. 2024, "Caduceus" (arXiv:2403.03234), section 3.1, as its published code has it: the
in- and out-projection serve both directions, whose outputs are added. Neither flips a tensor: the
second scans and convolves from the right. Parameter names are those of the published code, where
``in_proj`` and ``out_proj`` are stored under ``mamba_fwd``.
"""

import math

import torch
from torch import Tensor, nn

from dnamamba.config import SelectiveConfig
from dnamamba.model.mixers.direction import Direction
from dnamamba.model.mixers.mixer import Mixer

__all__ = ["BiMambaMixer"]


class BiMambaMixer(Mixer):
    """Project, read from both sides, add, project; the gate is one for both."""

    adapter_targets = ("in_proj", "x_proj", "dt_proj", "out_proj")

    def __init__(self, config: SelectiveConfig) -> None:
        super().__init__(config)
        self.in_proj = nn.Linear(config.d_model, 2 * config.d_inner, bias=False)
        self.mamba_fwd = Direction(config, reverse=False)
        self.mamba_rev = Direction(config, reverse=True)
        self.out_proj = nn.Linear(config.d_inner, config.d_model, bias=False)
        with torch.no_grad():
            # One branch a layer is added to the stream: its variance must not grow with depth.
            self.out_proj.weight.div_(math.sqrt(config.n_layers))

    def forward(
        self, x: Tensor, state: None, resets: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor, None]:
        inputs, z = self.in_proj(x).chunk(2, dim=-1)  # (B, L, D) each, views of one tensor
        y = self.mamba_fwd(inputs, z, resets) + self.mamba_rev(inputs, z, resets)
        return self.out_proj(y), None
