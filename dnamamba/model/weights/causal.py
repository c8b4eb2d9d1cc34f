"""What mamba-ssm's and transformers' Mamba-1 share: names, but for the embedding's, and ties.

Neither format says what its ids stand for, nor reads a start token before a sequence.
"""

from collections.abc import Mapping
from typing import Any

from dnamamba.config import MambaConfig
from dnamamba.model.weights.keys import residual_remark
from dnamamba.model.weights.layout import Layout

__all__ = ["causal_layout"]


def causal_layout(
    config: MambaConfig, values: Mapping[str, Any], embedding: str, prefix: str = "backbone."
) -> Layout:
    """The layout of a stack under ``prefix``, whose embedding is called ``embedding``."""

    def name(ours: str) -> str:
        if ours == "lm_head.weight":
            return ours
        return prefix + ours.removeprefix("backbone.").replace("embedding.", f"{embedding}.")

    return Layout(
        sizes=config,
        name=name,
        ties={"lm_head.weight": name("backbone.embedding.weight")} if config.tie_embeddings else {},
        remarks=residual_remark(values),
    )
