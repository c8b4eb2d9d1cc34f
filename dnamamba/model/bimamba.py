"""The bidirectional backbone, and the one that treats both strands alike.

Schiff et al. 2024, "Caduceus" (arXiv:2403.03234): the first is its Ph, the second its PS.
"""

from typing import ClassVar

from dnamamba.config import (
    BackboneConfig,
    BidirectionalConfig,
    BiMambaConfig,
    SymmetricBiMambaConfig,
)
from dnamamba.model.mixers.bidirectional import BiMambaMixer
from dnamamba.model.stack import Stack
from dnamamba.model.symmetric import Symmetric

__all__ = ["BiMamba", "SymmetricBiMamba"]


class BiMamba(Stack):
    """Blocks that read from both sides; embedding, norms and stream are those of ``Mamba``.

    Args:
        config: the sizes; kept as ``.config`` and never changed.
    """

    config_type: ClassVar[type[BackboneConfig]] = BiMambaConfig
    config: BidirectionalConfig
    causal = False
    start_tokens = ()
    mixer = BiMambaMixer

    @property
    def pad(self) -> int | None:
        return self.config.pad


class SymmetricBiMamba(Symmetric, BiMamba):
    """One ``BiMamba`` on a sequence and on its opposite strand: see ``Symmetric``."""

    config_type = SymmetricBiMambaConfig
    config: SymmetricBiMambaConfig

    @property
    def complement(self) -> tuple[int, ...]:
        assert self.config.complement is not None  # the configuration fills it in
        return self.config.complement
