"""What a classifier's head reads of the first training samples, before the first step."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from dnamamba.training.sequence_parallel import pieces_of
from dnamamba_kernels.pieces import over

__all__ = ["first_vectors"]

_SAMPLES = 256  # from which the spread of the head's inputs is taken


def first_vectors(trainer: pl.Trainer, data: Any, read: Any) -> Tensor:
    """Vectors (n, width) of the same samples on every rank, read in batches that fit.

    Args:
        trainer: whose devices read.
        data: a ``LabelledDataModule``.
        read: batch -> what the head reads of it.
    """
    dataset, size = data.dataset("train"), len(data.dataset("train"))
    batch = max(1, data.global_batch_size // trainer.world_size)
    parts = [np.arange(i, min(i + batch, size)) for i in range(0, min(_SAMPLES, size), batch)]
    vectors = []
    with torch.no_grad():
        for part in parts:
            moved = trainer.strategy.batch_to_device(dataset[part])
            with over(pieces_of(trainer)):
                vectors.append(read(moved))
    return torch.cat(vectors)
