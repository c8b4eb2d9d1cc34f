"""The opposite strand of padded batches, on whatever device they are."""

import torch
from torch import Tensor

__all__ = ["reverse_complement"]


def reverse_complement(tokens: Tensor, lengths: Tensor, complement: Tensor) -> Tensor:
    """Each row's opposite strand, read 5' to 3'; the padding stays on the right.

    Args:
        tokens: (..., L) uint8 ids, padding on the right.
        lengths: (...) int64, real positions of each row.
        complement: (256,) uint8, id -> id of the complementary base
            (``Tokenizer.complement_table``).

    Returns:
        (..., L) uint8. Applying it twice gives ``tokens``.
    """
    at = torch.arange(tokens.shape[-1], device=tokens.device)
    real = at < lengths[..., None]
    source = torch.where(real, lengths[..., None] - 1 - at, at)
    turned = tokens.gather(-1, source)
    return torch.where(real, complement[turned.int()], turned)
