"""Predicting each base from those before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.training.objectives.objective import Example, Objective, base_weights

__all__ = ["NextBase"]


@dataclass(frozen=True)
class NextBase(Objective):
    """Inputs are BOS and all bases but the last, targets the bases.

    A segment that begins within a row, by ``resets``, begins with BOS too. A row that goes on where
    another ended, in the batch before or on the device before, begins with the base ``before``
    instead.
    """

    causal: ClassVar[bool] = True
    reads_pieces: ClassVar[bool] = True

    def example(
        self, batch: Mapping[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
    ) -> Example:
        bases, lengths, resets = batch["tokens"], batch.get("lengths"), batch.get("resets")
        tokens = F.pad(bases[:, :-1], (1, 0), value=BOS)
        if "before" in batch:
            tokens[:, 0] = batch["before"]
        if resets is not None:
            tokens = tokens.masked_fill(resets, BOS)
        if lengths is not None:
            tokens = tokens.masked_fill(bases == PAD, PAD)
        weight = base_weights(batch, tokenizer, soft_mask_weight)
        return Example(tokens, bases, weight, lengths, resets)
