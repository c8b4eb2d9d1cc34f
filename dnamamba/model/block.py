"""One residual layer."""

from typing import Any

import torch
from torch import Tensor, nn

from dnamamba.model.mixers.mixer import CausalMixer, Mixer
from dnamamba.model.norm import RMSNorm
from dnamamba.model.recompute import Recompute, recomputes, recomputing
from dnamamba.model.state import State

__all__ = ["Block"]


class Block(nn.Module):
    """Norm(Add) -> Mixer. The mixer's output is added by the next norm."""

    norm: RMSNorm
    mixer: Mixer

    def __init__(self, norm: RMSNorm, mixer: Mixer) -> None:
        super().__init__()
        self.norm, self.mixer = norm, mixer

    def forward(
        self,
        x: Tensor,
        residual: Tensor | None,
        state: Any = None,
        resets: Tensor | None = None,
        lengths: Tensor | None = None,
        recompute: Recompute = "nothing",
    ) -> tuple[Tensor, Tensor, State]:
        """(branch, stream before it) -> (branch, stream before it, state)."""
        if self.mixer.fuses(self.norm, x, lengths):
            again = recomputes(recompute)
            return self.mixer.fused(self.norm, x, residual, state, resets, lengths, again)
        block = recomputing(self._one_by_one, recompute)
        branch, stream, after = block(x, residual, state, resets, lengths)
        return branch, stream, after

    def _one_by_one(
        self,
        x: Tensor,
        residual: Tensor | None,
        state: Any,
        resets: Tensor | None,
        lengths: Tensor | None,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor, State]:
        """The mixer reads ``dtype``, x's if that is None."""
        x, residual = self.norm(x, residual, dtype)
        x, state = self.mixer(x, state, resets, lengths)
        return x, residual, state

    def step(
        self, x: Tensor, residual: Tensor | None, state: Any, in_place: bool = False
    ) -> tuple[Tensor, Tensor, State]:
        """``forward`` for one position, x (B, d_model)."""
        x, residual = self.norm(x, residual)
        assert isinstance(self.mixer, CausalMixer)
        x, state = self.mixer.step(x, state, in_place)
        return x, residual, state
