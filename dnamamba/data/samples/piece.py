"""A contiguous piece of a batch's rows, as one of several devices reads it that share them."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba.alphabet import BOS, PAD

__all__ = ["long_enough", "piece"]


def long_enough(batch: dict[str, Tensor], least: int) -> dict[str, Tensor]:
    """Rows that say how long they are, padded to at least so many positions."""
    tokens = batch["tokens"]
    missing = least - tokens.shape[-1]
    if missing <= 0 or not {"tokens", "lengths"} <= batch.keys() or "soft_mask" in batch:
        return batch
    assert PAD == 0
    return {
        name: F.pad(x, (0, missing)) if _is_cut(name, x, tokens) else x for name, x in batch.items()
    }


def piece(batch: dict[str, Tensor], part: slice) -> dict[str, Tensor]:
    """What a raw batch (see ``SampleDataset``), on the CPU, says of some positions of its rows.

    What has a column for each position is cut, and ``lengths`` count from the piece's first base.
    Two are added: ``offset`` (B,) int64, where in its row the piece begins, and ``before`` (B,)
    uint8, the base that stands before it, or what the batch has under that name, else BOS. All else
    stays as it is.

    Args:
        batch: ``tokens`` (B, L), and more.
        part: positions start to stop.

    Raises:
        ValueError: ``tokens`` are not (B, L).
    """
    tokens, start, size = batch["tokens"], part.start, part.stop - part.start
    if tokens.dim() != 2:
        raise ValueError(
            f"rows of shape {tuple(tokens.shape[1:])} are read whole: no devices can share them"
        )
    own = {
        name: x[:, part].contiguous() if _is_cut(name, x, tokens) else x
        for name, x in batch.items()
    }
    if "lengths" in batch:
        own["lengths"] = (batch["lengths"] - start).clamp(0, size)
    if "soft_mask" in batch:
        own["soft_mask"] = _bits(batch["soft_mask"], part)
    own["offset"] = torch.full((len(tokens),), start)
    if start:
        own["before"] = tokens[:, start - 1].clone()
    own = {"before": torch.full_like(tokens[:, 0], BOS), **own}
    # As the whole is: the transfer to a GPU then goes by itself.
    return {name: x.pin_memory() for name, x in own.items()} if tokens.is_pinned() else own


def _is_cut(name: str, x: Tensor, tokens: Tensor) -> bool:
    return x.shape[:2] == tokens.shape and name != "label"  # which may have as many columns


def _bits(packed: Tensor, part: slice) -> Tensor:
    """Of bits packed along rows those of some positions, packed anew."""
    first = part.start // 8
    bits = np.unpackbits(packed[:, first : -(-part.stop // 8)].numpy(), axis=1)
    own = bits[:, part.start - 8 * first : part.stop - 8 * first]
    return torch.from_numpy(np.packbits(own, axis=1))
