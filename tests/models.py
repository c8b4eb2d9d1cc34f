"""Models that tests share."""

from typing import Any

import torch

from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model.language_model import LanguageModel

__all__ = ["opinionated", "reading_both_ways"]


def opinionated() -> LanguageModel:
    """Small, with opinions: an untrained model finds all bases about equally likely."""
    torch.manual_seed(0)
    config = MambaConfig(d_model=32, n_layers=2, d_state=8, tie_embeddings=False)
    model = LanguageModel(config)
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
        if model.lm_head is not None:
            model.lm_head.weight.normal_(std=0.3)
    return model


def reading_both_ways(symmetric: bool = False, **sizes: Any) -> LanguageModel:
    """As ``opinionated``, of a bidirectional family."""
    torch.manual_seed(0)
    family = SymmetricBiMambaConfig if symmetric else BiMambaConfig
    model = LanguageModel(family(**{"d_model": 16, "n_layers": 2, "d_state": 4, **sizes}))
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
    return model.eval()
