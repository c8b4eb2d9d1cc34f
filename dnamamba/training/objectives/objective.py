"""What every objective is: from a raw batch to what a model reads and predicts, on the device."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer

__all__ = ["Example", "Objective", "base_weights"]


class Example(NamedTuple):
    """What a model reads, and what it is to predict.

    Attributes:
        tokens: (B, L) ids that the model reads.
        targets: (B, L) ids, what it is to predict at each position.
        weight: (B, L) fp32, what a position counts in the loss; 0 where nothing is predicted.
        lengths: (B,) int64, inputs in each row, padding apart; None where every row is full.
        resets: (B, L) bool, where the model forgets what it has read; None: nowhere.
    """

    tokens: Tensor
    targets: Tensor
    weight: Tensor
    lengths: Tensor | None = None
    resets: Tensor | None = None


@dataclass(frozen=True)
class Objective(ABC):
    """What is predicted from what. A subclass is a frozen dataclass, whose fields are settings.

    What an objective draws at random is a function of a seed among its settings and of the
    batch's ``index`` alone, so that a sample is the same on any device and after any resume.
    """

    causal: ClassVar[bool]
    """Whether it trains a backbone that sees nothing to the right of a position, or one that
    sees all."""
    reads_pieces: ClassVar[bool] = False
    """Whether of a piece of a row it makes that piece of what it makes of the whole row: see
    ``dnamamba.data.samples.piece``."""

    def check(self, tokenizer: Tokenizer) -> None:  # noqa: B027 (most need nothing)
        """Refuse a tokenizer that lacks an id which the inputs need.

        Raises:
            ValueError: names what is lacking, and a remedy.
        """

    @abstractmethod
    def example(
        self, batch: Mapping[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
    ) -> Example:
        """Inputs, targets and weights of a batch, on its device.

        Args:
            batch: raw, as ``SampleDataset`` describes it: ``tokens`` (B, L) uint8, without BOS.
            tokenizer: what the ids mean.
            soft_mask_weight: weight of a base in lower case, where ``soft_mask`` is there.
        """


def base_weights(
    batch: Mapping[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
) -> Tensor:
    """(B, L) fp32, what each base of a raw batch counts.

    0 for padding, N, IUPAC codes and the like, else 1, or ``soft_mask_weight`` in lower case.
    Arguments are those of ``Objective.example``.
    """
    bases = batch["tokens"]
    weight = _scored(tokenizer, bases.device)[bases.int()]
    if "lengths" in batch:  # whatever id pads
        at = torch.arange(bases.shape[1], device=bases.device)
        weight = weight.masked_fill(at >= batch["lengths"][:, None], 0)
    if "soft_mask" in batch:
        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bases.device)
        bits = batch["soft_mask"].unsqueeze(-1) >> shifts & 1
        lower = bits.flatten(1)[:, : bases.shape[1]].bool()
        weight = torch.where(lower, weight * soft_mask_weight, weight)
    return weight


@cache
@torch.inference_mode(False)
def _scored(tokenizer: Tokenizer, device: torch.device) -> Tensor:
    """(256,) fp32: 1 for the ids that are scored; copied to the device once."""
    return torch.from_numpy(tokenizer.scored.astype("float32")).to(device)
