"""From bases to what a model reads and predicts, on the device."""

import torch
from torch import Tensor

from dnamamba.alphabet import BOS, PAD, Tokenizer

__all__ = ["next_base_batch"]


def next_base_batch(
    batch: dict[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
) -> dict[str, Tensor]:
    """Inputs, targets and weights for predicting each base from those before it.

    Args:
        batch: ``bases`` (B, L) uint8, PAD to the right; ``index`` (B,); where they apply
            ``lengths`` (B,) and ``soft_mask`` (B, ceil(L / 8)) uint8 (see ``WindowDataset``).
        tokenizer: says which ids are scored.
        soft_mask_weight: weight of a base in lower case, where ``soft_mask`` is there.

    Returns:
        ``tokens`` (B, L) uint8: BOS, then all bases but the last; ``targets`` (B, L) uint8: the
        bases; ``loss_weight`` (B, L) fp32: 0 for PAD, N, IUPAC codes and the like, else 1 or
        ``soft_mask_weight``; ``index`` and ``lengths`` as they came.
    """
    bases = batch["bases"]
    tokens = torch.nn.functional.pad(bases[:, :-1], (1, 0), value=BOS)
    if "lengths" in batch:
        tokens = tokens.masked_fill(bases == PAD, PAD)
    scored = torch.from_numpy(tokenizer.scored.astype("float32")).to(bases.device)
    weight = scored[bases.int()]
    if "soft_mask" in batch:
        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bases.device)
        lower = (
            (batch["soft_mask"].unsqueeze(-1) >> shifts & 1).flatten(1)[:, : bases.shape[1]].bool()
        )
        weight = torch.where(lower, weight * soft_mask_weight, weight)
    derived = {"tokens": tokens, "targets": bases, "loss_weight": weight}
    return derived | {name: batch[name] for name in ("index", "lengths") if name in batch}
