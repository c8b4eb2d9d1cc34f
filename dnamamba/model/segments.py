"""Where one packed segment ends and another begins."""

import torch
from torch import Tensor

__all__ = ["parted"]


def parted(resets: Tensor | None, lengths: Tensor, length: int) -> Tensor:
    """(B, L) bool, ``resets`` and a mark at the first position of each row's padding.

    Args:
        resets: (B, L) bool; None is none.
        lengths: (B,) int32 or int64, the real positions of each row.
        length: L.
    """
    at = torch.arange(length, device=lengths.device)
    ends = at == lengths[:, None]
    return ends if resets is None else resets | ends
