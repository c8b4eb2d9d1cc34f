"""An objective for toy data: the next base, each position weighed as the batch says."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.training.objectives import Example, NextBase


@dataclass(frozen=True)
class Weighted(NextBase):
    """Takes the weights (B, L) from ``loss_weight``."""

    def example(
        self, batch: Mapping[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
    ) -> Example:
        example = super().example(batch, tokenizer, soft_mask_weight)
        return example._replace(weight=batch["loss_weight"])
