"""Models that tests share."""

import torch

from dnamamba.config import MambaConfig
from dnamamba.model.language_model import LanguageModel

__all__ = ["opinionated"]


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
