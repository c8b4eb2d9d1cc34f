"""The causal backbone: a stack of blocks that carries a state.

Gu and Dao 2023 (arXiv:2312.00752), section 3.4 and figure 3. The letters are those of
``dnamamba.model.mixers.mamba1``; parameter names are those of the reference implementation, so
published weights map one to one.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor

from dnamamba.config import MambaConfig
from dnamamba.model.backbone import CausalBackbone
from dnamamba.model.block import Block
from dnamamba.model.mixers.mamba1 import Mamba1Mixer
from dnamamba.model.mixers.mixer import CausalMixer
from dnamamba.model.stack import Stack
from dnamamba.model.state import State
from dnamamba_kernels import pieces

__all__ = ["Mamba"]


class Mamba(Stack, CausalBackbone):
    """The backbone of Mamba-1; with another ``mixer`` and configuration, that of its likes.

    Matrix products run in autocast's dtype where it is on; the residual stream and the scans'
    states are fp32 always.

    Args:
        config: the sizes; kept as ``.config`` and never changed.
    """

    config_type = MambaConfig
    config: MambaConfig
    mixer: ClassVar[type[CausalMixer]] = Mamba1Mixer

    @property
    def start_tokens(self) -> tuple[int, ...]:
        return () if self.config.bos is None else (self.config.bos,)

    def initial_state(
        self,
        batch: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> State:
        weight = self.embedding.weight
        where = torch.device(device) if device is not None else weight.device
        layers = [m.initial_state(batch, where, dtype or weight.dtype) for m in self._mixers()]
        return self.mixer.state_type.stack(layers)

    def step(self, tokens: Tensor, state: State, in_place: bool = False) -> tuple[Tensor, State]:
        if tokens.dim() != 1:
            raise ValueError(f"tokens must be (B,), got {tuple(tokens.shape)}")
        if pieces.current() is not None:
            raise ValueError("step() reads one position, of which there are no pieces")
        self._check_state(state, tokens.shape[0], len(self.layers))
        x, residual, states = self._embed(tokens), None, []
        for layer, before in zip(self.layers, state.unbind(), strict=True):
            assert isinstance(layer, Block)
            x, residual, after = layer.step(x, residual, before, in_place)
            states.append(after)
        hidden, _ = self.norm_f(x, residual)
        return hidden, state if in_place else type(state).stack(states)

    def _stacked(self, states: list[State]) -> State:
        return self.mixer.state_type.stack(states)

    def _mixers(self) -> list[CausalMixer]:
        return [cast(CausalMixer, cast(Block, block).mixer) for block in self.layers]

    def _check_state(self, state: State, batch: int, layers: int) -> None:
        shapes = self._mixers()[0].state_shapes(batch)
        expected = tuple((layers, *shape) for shape in shapes)
        got = tuple(tuple(tensor.shape) for tensor in state.tensors)
        if got != expected:
            raise ValueError(f"state must have shapes {expected}, got {got}")
