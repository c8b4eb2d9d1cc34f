"""Bases that fine-tuning hides from the model, others each time that a sequence is read."""

import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.training.objectives.masked import Masked

__all__ = ["Hiding"]


class Hiding:
    """Hides a share of the bases of training batches behind the mask token.

    What cannot be told by one base has to be told by its neighbours: a guard against learning
    sequences by heart. Which bases are hidden is a function of a sample's number and of the
    position (see ``Masked``). Of a variant both windows hide the same bases of the flanks, and
    none of the alleles.

    Args:
        share: of the bases A, C, G and T; above 0 and below 1.
        tokenizer: of the model.

    Raises:
        ValueError: the share is out of range, or the tokenizer has no mask token.
    """

    def __init__(self, share: float, tokenizer: Tokenizer) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ValueError(f"model.hide must be a share from 0 to below 1, got {share!r}")
        if tokenizer.mask is None:
            raise ValueError(
                f"model.hide hides bases behind a mask token, and the {tokenizer.name} tokenizer "
                "has none; set model.hide to 0, or take a model that has one"
            )
        self._drawn, self._tokenizer = Masked(share, 1.0, 0.0, 0.0), tokenizer

    def hidden(self, batch: dict[str, Tensor]) -> Tensor:
        """The ``tokens`` of a batch, (B, L) or of variants (B, 2, L), with bases hidden."""
        tokens = batch["tokens"]
        if tokens.dim() == 2:
            return self._drawn.example(batch, self._tokenizer).tokens
        ref, alt = batch["lengths"].unbind(1)
        lengths = torch.stack([ref, alt], 1)[..., None]
        at = torch.arange(tokens.shape[2], device=tokens.device)
        # Bases behind the variant count from the end: there both windows are the same.
        behind = (at >= lengths - batch["right"][:, None, None]) & (at < lengths)
        flank = behind | (at < batch["position"][:, None, None])
        place = torch.where(behind, at - lengths + ref[:, None, None], at)
        reference = {"tokens": tokens[:, 0], "lengths": ref, "index": batch["index"]}
        of_ref = self._drawn.example(reference, self._tokenizer).tokens
        chosen = (of_ref != tokens[:, 0])[:, None].expand_as(tokens)
        chosen = chosen.gather(2, place.clamp(0, tokens.shape[2] - 1)) & flank
        assert self._tokenizer.mask is not None
        return tokens.masked_fill(chosen, self._tokenizer.mask)
