"""The fused path of Caduceus' code, whose strands change places in every block.

The published strand-symmetric models run it (``fused_add_norm``). It is another function than the
unfused path, and it equals

    one stack of blocks, read on x and on RC(x), in which every second block, counted from the last,
    works on channels in reverse order and with its two directions exchanged; of an odd number of
    blocks the embedding stands turned, too: row c is row complement(c), channels reversed.

Here that is done to the weights once, when they are read, and undone when they are written: norms,
columns of the in-projection and rows of the out-projection are reversed. Hidden states and logits
are the published ones. Where the number of blocks is odd, embedding and head, which the published
model ties, are two forms of one matrix, so that the model here has a head of its own.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dnamamba.config import SymmetricBiMambaConfig

__all__ = ["turned", "turning"]

_REVERSED = (("norm.weight", 0), ("mixer.in_proj.weight", 1), ("mixer.out_proj.weight", 0))


def turned(config: SymmetricBiMambaConfig, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the fused path's form in that of one stack, or back; its own inverse."""
    assert config.complement is not None
    result = dict(weights)
    for i in range(config.n_layers % 2, config.n_layers, 2):
        layer = f"backbone.layers.{i}."
        for part, axis in _REVERSED:
            result[layer + part] = weights[layer + part].flip(axis)
        forward, reverse = f"{layer}mixer.mamba_fwd.", f"{layer}mixer.mamba_rev."
        for name in weights:
            if name.startswith(forward):
                other = reverse + name.removeprefix(forward)
                result[name], result[other] = weights[other], weights[name]
    if config.n_layers % 2:
        rows = torch.tensor(config.complement)
        result["backbone.embedding.weight"] = weights["backbone.embedding.weight"][rows].flip(1)
    return result


def turning(config: SymmetricBiMambaConfig) -> str:
    """What ``turned`` does to a model of these sizes, in words."""
    blocks = ", ".join(map(str, range(config.n_layers % 2, config.n_layers, 2))) or "none"
    untied = (
        "; an odd number of blocks: the embedding is turned to the other strand, and the head, the "
        "same matrix unturned, stands on its own"
    )
    return f"fused path: channels reversed and directions exchanged in blocks {blocks}" + (
        untied if config.n_layers % 2 else ""
    )
