"""Predicting bases that are hidden from those on both sides."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from math import ceil, isclose
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.training.objectives.hashing import mix
from dnamamba.training.objectives.objective import Example, Objective, base_weights

__all__ = ["Masked"]

# Of the 64 bits drawn for a position: whether it is chosen, what becomes of it, by which base.
_CHOICE, _FATE, _BASE = 24, 20, 20


@dataclass(frozen=True)
class Masked(Objective):
    """Masked language modelling (Devlin et al. 2018, arXiv:1810.04805, section 3.1) of bases.

    Each A, C, G and T of a sample is chosen with probability ``share``, whatever becomes of its
    neighbours, so that a short row can have none chosen; N, IUPAC codes, padding and special
    tokens never are. The loss counts the chosen positions alone, each with the weight of its base.

    What is drawn is a function of ``seed``, the sample's number and the position. Numbers run on
    across epochs, so that a window is masked otherwise each time that it is trained on, while
    samples that are held out are masked the same in every validation.

    Attributes:
        share: of the bases, how many are chosen; between 0 and 1.
        mask: of the chosen bases, how many read as the mask token.
        another: how many read as another of A, C, G, T, in the case of the base itself.
        kept: how many read as they are; below 1, and the three sum to 1.
        seed: 0 to 2**63 - 1.

    Raises:
        ValueError: a setting out of range; names it.
    """

    causal: ClassVar[bool] = False
    reads_pieces: ClassVar[bool] = True

    share: float = 0.15
    mask: float = 0.8
    another: float = 0.1
    kept: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kinds = getattr(self, field.name), int if field.type is int else int | float
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ValueError(f"model.objective.{field.name} must be a number, got {value!r}")
        if not 0 < self.share < 1:
            raise ValueError(
                f"model.objective.share must be between 0 and 1, got {self.share}: of none of the "
                "bases there is nothing to predict, and of all nothing to predict them from"
            )
        parts = {name: getattr(self, name) for name in ("mask", "another", "kept")}
        if not all(0 <= part <= 1 for part in parts.values()) or not isclose(
            sum(parts.values()), 1, abs_tol=1e-6
        ):
            raise ValueError(
                "model.objective.mask, another and kept are shares of the chosen bases and must "
                f"sum to 1, got {', '.join(map(str, parts.values()))}"
            )
        if self.kept == 1:
            raise ValueError("model.objective.kept must be below 1: else no base is hidden")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"model.objective.seed must be 0 to 2**63 - 1, got {self.seed}")

    def check(self, tokenizer: Tokenizer) -> None:
        if self.mask and tokenizer.mask is None:
            raise ValueError(
                "model.objective masked_bases hides bases behind a mask token, and the "
                f"{tokenizer.name} tokenizer has none; set model.objective.mask to 0 and another "
                "to 0.9, or take a tokenizer that has one"
            )

    def example(
        self, batch: Mapping[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
    ) -> Example:
        self.check(tokenizer)
        bases = batch["tokens"]
        at = torch.arange(bases.shape[1], device=bases.device)
        if "offset" in batch:
            at = at + batch["offset"][:, None]
        draws = self._draws(batch["index"], at)
        others, scored = _bases(tokenizer, bases.device)
        chosen = draws.chosen & scored[bases.int()]
        tokens = torch.where(chosen & draws.another, others[bases.int(), draws.base], bases)
        if tokenizer.mask is not None:
            tokens = tokens.masked_fill(chosen & draws.mask, tokenizer.mask)
        weight = base_weights(batch, tokenizer, soft_mask_weight) * chosen
        return Example(tokens, bases, weight, batch.get("lengths"), batch.get("resets"))

    def _draws(self, index: Tensor, at: Tensor) -> "_Draws":
        bits = mix(self.seed, index[:, None], at)
        choice = bits & ((1 << _CHOICE) - 1)
        fate = bits >> _CHOICE & ((1 << _FATE) - 1)
        base = bits >> _CHOICE + _FATE & ((1 << _BASE) - 1)
        masked = round(self.mask * (1 << _FATE))
        other = round((self.mask + self.another) * (1 << _FATE))
        return _Draws(
            chosen=choice < ceil(self.share * (1 << _CHOICE)),
            mask=fate < masked,
            another=(masked <= fate) & (fate < other),
            base=base * 3 >> _BASE,
        )


class _Draws(NamedTuple):
    """What is drawn for each position, as if it held a base: (B, L) bool, but ``base`` int64."""

    chosen: Tensor
    mask: Tensor
    another: Tensor
    base: Tensor  # 0 to 2: which of the three others


class _Bases(NamedTuple):
    others: Tensor  # (256, 3) uint8: ids of the other bases, in the same case
    scored: Tensor  # (256,) bool: the ids that may be chosen


@cache
@torch.inference_mode(False)
def _bases(tokenizer: Tokenizer, device: torch.device) -> _Bases:
    others, scored = np.zeros((256, 3), np.uint8), tokenizer.scored.copy()
    for token in np.flatnonzero(scored):
        letter = tokenizer.decode([token])
        letters = "acgt" if letter.islower() else "ACGT"
        own = letter.replace("U", "T").replace("u", "t")
        others[token] = tokenizer.encode(letters.replace(own, ""))
    return _Bases(torch.from_numpy(others).to(device), torch.from_numpy(scored).to(device))
