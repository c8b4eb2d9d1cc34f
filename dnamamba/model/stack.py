"""A stack of blocks around a mixer: embedding, blocks, a final norm."""

from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn

from dnamamba.config import SelectiveConfig
from dnamamba.model.backbone import Backbone
from dnamamba.model.block import Block
from dnamamba.model.footprint import Footprint, Reading, of_blocks
from dnamamba.model.mixers.mixer import Mixer, with_parts
from dnamamba.model.norm import RMSNorm
from dnamamba.model.state import State

__all__ = ["Stack"]


class Stack(Backbone):
    """Gu and Dao 2023 (arXiv:2312.00752), section 3.4 and figure 3, around any mixer.

    Matrix products run in autocast's dtype where it is on; the residual stream and the scans'
    states are fp32 always. Parameter names are those of the reference implementation.
    """

    mixer: ClassVar[type[Mixer]]

    def __init__(self, config: SelectiveConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(
            Block(RMSNorm(config.d_model, config.norm_eps), self.mixer(config))
            for _ in range(config.n_layers)
        )
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)

    @property
    def reads_pieces(self) -> bool:
        return self.mixer.reads_pieces

    @property
    def adapter_targets(self) -> tuple[str, ...]:
        return self.mixer.adapter_targets

    def footprint(self, reading: Reading) -> Footprint | None:
        weight, blocks = self.embedding.weight, []
        has_gradient = weight.requires_grad
        for block in self.layers:
            assert isinstance(block, Block)
            has_gradient |= any(x.requires_grad for x in block.parameters())
            fuses = block.mixer.fuses(block.norm, weight, None)
            memory = self.mixer.block_memory(self.config, reading, fuses)
            if memory is None:
                return None
            blocks.append((memory, has_gradient))
        # What the last block has added, the stream before and with it, what the norm makes of it.
        hidden = reading.positions * self.config.d_model * 2 * (reading.itemsize + 4)
        return of_blocks(blocks, hidden)

    def turned(self) -> Self:
        blocks = (cast(Block, block) for block in self.layers)
        turned = (with_parts(block, mixer=block.mixer.turned()) for block in blocks)
        return with_parts(self, layers=nn.ModuleList(turned))

    def _run(
        self,
        tokens: Tensor,
        state: State | None,
        resets: Tensor | None,
        lengths: Tensor | None,
        layer: int | None,
    ) -> tuple[Tensor, State | None]:
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
        return hidden, self._stacked(states)

    def _stacked(self, states: list[State]) -> State | None:
        """The state of all layers from those of each."""
        return None

    def _embed(self, tokens: Tensor) -> Tensor:
        # An embedding reads int32 or int64; batches travel as uint8.
        return self.embedding(tokens.int() if tokens.dtype == torch.uint8 else tokens)
