"""The bidirectional backbone, and the one that treats both strands alike.

Schiff et al. 2024, "Caduceus" (arXiv:2403.03234): the first is its Ph, the second its PS.
"""

from typing import ClassVar

from torch import Tensor

from dnamamba.config import BackboneConfig, BiMambaConfig, SymmetricBiMambaConfig
from dnamamba.model.mixers.bidirectional import BiMambaMixer
from dnamamba.model.segments import parted
from dnamamba.model.stack import Stack
from dnamamba.model.state import State
from dnamamba.model.symmetric import Symmetric

__all__ = ["BiMamba", "SymmetricBiMamba"]


class BiMamba(Stack):
    """Blocks that read from both sides; embedding, norms and stream are those of ``Mamba``.

    Args:
        config: the sizes; kept as ``.config`` and never changed.
    """

    config_type: ClassVar[type[BackboneConfig]] = BiMambaConfig
    config: BiMambaConfig | SymmetricBiMambaConfig
    causal = False
    start_tokens = ()
    mixer = BiMambaMixer

    @property
    def pad(self) -> int | None:
        return self.config.pad

    def _run(
        self,
        tokens: Tensor,
        state: State | None,
        resets: Tensor | None,
        lengths: Tensor | None,
        layer: int | None,
    ) -> tuple[Tensor, State | None]:
        # Padding is one more packed segment: nothing of it reaches the bases, and a padded batch
        # runs as any other.
        if lengths is not None:
            resets = parted(resets, lengths, tokens.shape[1])
        return super()._run(tokens, state, resets, None, layer)


class SymmetricBiMamba(Symmetric, BiMamba):
    """One ``BiMamba`` on a sequence and on its opposite strand: see ``Symmetric``."""

    config_type = SymmetricBiMambaConfig
    config: SymmetricBiMambaConfig

    @property
    def complement(self) -> tuple[int, ...]:
        assert self.config.complement is not None  # the configuration fills it in
        return self.config.complement
