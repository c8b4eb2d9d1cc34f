"""What a sequence is held against where an attribution explains it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba.alphabet import Tokenizer

__all__ = ["BASELINES"]


def _uniform(tokenizer: Tokenizer, rows: Tensor, ids: Tensor) -> Tensor:
    return torch.zeros_like(rows).scatter(1, ids, 0.25)


def _n(tokenizer: Tokenizer, rows: Tensor, ids: Tensor) -> Tensor:
    token = torch.tensor(int(tokenizer.encode("N")[0]), device=rows.device)
    return F.one_hot(token, rows.shape[1]).to(rows).expand_as(rows)


BASELINES: dict[str, Callable[[Tokenizer, Tensor, Tensor], Tensor]] = {
    "uniform": _uniform,
    "N": _n,
}
"""What a sequence is held against, by its name: (L, V) of one-hot rows and the ids (L, 4)."""
