"""What mamba-ssm's and transformers' Mamba-1 share: names, but for the embedding's, and ties.

Neither format says what its ids stand for, nor reads a start token before a sequence.
"""

from collections.abc import Mapping
from typing import Any

from dnamamba.config import MambaConfig
from dnamamba.model.weights.keys import residual_remark
from dnamamba.model.weights.layout import Layout

__all__ = ["CAUSAL", "causal_layout"]

CAUSAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "bidirectional": ((False, None), "two directions, in a format of causal models"),
    "rcps": ((False, None), "strand symmetry, in a format of causal models"),
}
"""What ``refuse_unless`` asks of both: forks write these keys, and their tensors show nothing."""


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
