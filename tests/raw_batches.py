"""Batches as a dataset delivers them, with every letter in both cases."""

import numpy as np
import torch
from torch import Tensor

from dnamamba.alphabet import PAD, Tokenizer

__all__ = ["marks", "raw_batch"]


def raw_batch(
    tokenizer: Tokenizer, rows: int = 64, length: int = 64
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Rows of 0 to ``length`` bases, and which bases are in lower case."""
    draw = np.random.default_rng(3)
    ids = np.full((rows, length), PAD, np.uint8)
    lower = np.zeros((rows, length), np.bool_)
    lengths = draw.integers(0, length + 1, rows)
    for row, count in enumerate(lengths):
        bases = draw.choice(list(b"ACGTacgtNnRyU"), count).astype(np.uint8).tobytes()
        ids[row, :count] = tokenizer.encode(bases)
        lower[row, :count] = tokenizer.soft_mask(bases)
    return {
        "tokens": torch.from_numpy(ids),
        "soft_mask": torch.from_numpy(np.packbits(lower, axis=1)),
        "lengths": torch.from_numpy(lengths),
        "index": torch.arange(rows),
    }, lower


def marks(batch: dict[str, Tensor]) -> Tensor:
    """Where rows begin anew (B, L); a batch in which none does has no ``resets``."""
    return batch.get("resets", torch.zeros_like(batch["tokens"], dtype=torch.bool))
