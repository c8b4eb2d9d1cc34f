"""The causal backbone: embedding, blocks around a mixer, a final norm.

Gu and Dao 2023 (arXiv:2312.00752), section 3.4 and figure 3. The letters are those of
``dnamamba.model.mixers.mamba1``; parameter names are those of the reference implementation, so
published weights map one to one.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from dnamamba.config import MambaConfig
from dnamamba.model.backbone import CausalBackbone
from dnamamba.model.block import Block
from dnamamba.model.mixers.mamba1 import Mamba1Mixer
from dnamamba.model.mixers.mixer import Mixer
from dnamamba.model.norm import RMSNorm
from dnamamba.model.state import State

__all__ = ["Mamba"]


class Mamba(CausalBackbone):
    """The backbone of Mamba-1; with another ``mixer`` and configuration, that of its likes.

    Matrix products run in autocast's dtype where it is on; the residual stream and the scans'
    states are fp32 always.

    Args:
        config: the sizes; kept as ``.config`` and never changed.
    """

    config_type = MambaConfig
    mixer: ClassVar[type[Mixer]] = Mamba1Mixer

    def __init__(self, config: MambaConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(
            Block(RMSNorm(config.d_model, config.norm_eps), self.mixer(config))
            for _ in range(config.n_layers)
        )
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)

    @property
    def adapter_targets(self) -> tuple[str, ...]:
        return self.mixer.adapter_targets

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
        self._check_state(state, tokens.shape[0], len(self.layers))
        x, residual, states = self._embed(tokens), None, []
        for layer, before in zip(self.layers, state.unbind(), strict=True):
            assert isinstance(layer, Block)
            x, residual, after = layer.step(x, residual, before, in_place)
            states.append(after)
        hidden, _ = self.norm_f(x, residual)
        return hidden, state if in_place else type(state).stack(states)

    def _run(
        self,
        tokens: Tensor,
        state: State | None,
        resets: Tensor | None,
        lengths: Tensor | None,
        layer: int | None,
    ) -> tuple[Tensor, State]:
        blocks = self.layers if layer is None else self.layers[: layer + 1]
        before = [None] * len(blocks) if state is None else state.unbind()
        residual: Tensor | None = None
        x, states = self._embed(tokens), []
        for block, carried in zip(blocks, before, strict=True):
            x, residual, after = block(x, residual, carried, resets, lengths, self.recompute)
            states.append(after)
        if layer is None:
            hidden = self.norm_f(x, residual)[0]
        else:
            assert residual is not None
            hidden = residual + x
        return hidden, self.mixer.state_type.stack(states)

    def _embed(self, tokens: Tensor) -> Tensor:
        # An embedding reads int32 or int64; batches travel as uint8.
        return self.embedding(tokens.int() if tokens.dtype == torch.uint8 else tokens)

    def _mixers(self) -> list[Mixer]:
        return [block.mixer for block in self.layers if isinstance(block, Block)]

    def _check_state(self, state: State, batch: int, layers: int) -> None:
        shapes = self._mixers()[0].state_shapes(batch)
        expected = tuple((layers, *shape) for shape in shapes)
        got = tuple(tuple(tensor.shape) for tensor in state.tensors)
        if got != expected:
            raise ValueError(f"state must have shapes {expected}, got {got}")
