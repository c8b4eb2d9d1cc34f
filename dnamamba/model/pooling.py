"""From the hidden states of a sequence to one vector, over the positions that count alone.

Each way of pooling is a fold: a stretch of positions gives a small summary, two summaries merge
into that of both stretches, and the last step takes the vector from it. A sequence read in chunks
is pooled as one read whole, in memory that does not grow with its length.
"""

from abc import ABC, abstractmethod
from functools import reduce
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dnamamba.model.sharing import of_every_piece
from dnamamba_kernels import pieces

__all__ = ["POOLINGS", "Pooling", "PoolingName"]

PoolingName = Literal["mean", "max", "last", "attention"]

Summary = tuple[Tensor, Tensor]
"""A scalar a row (B, 1), and a vector a row (B, d_model)."""

_LOWEST = torch.finfo(torch.float32).min


class Pooling(nn.Module, ABC):
    """Pools (B, L, d_model) to (B, d_model) in fp32.

    A row in which no position counts gives a vector that means nothing, but is finite.

    Args:
        d_model: width of the hidden states.
    """

    symmetric: ClassVar[bool] = False
    """Whether positions in reverse order give the same, within rounding."""

    def __init__(self, d_model: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, counts: Tensor) -> Tensor:
        """Pool whole sequences; within ``dnamamba_kernels.pieces.over`` all pieces of them.

        Args:
            hidden: (B, L, d_model), any floating dtype.
            counts: (B, L) bool, which positions count; what stands at others has no effect.

        Returns:
            (B, d_model) fp32.
        """
        summary = self.summarise(hidden, counts)
        if (shared := pieces.current()) is not None:
            every = of_every_piece(torch.cat(summary, 1), shared)
            summary = reduce(self.merge, [(x[:, :1], x[:, 1:]) for x in every])
        return self.finish(summary)

    @abstractmethod
    def summarise(self, hidden: Tensor, counts: Tensor) -> Summary:
        """The summary, in fp32, of a stretch of positions; arguments as of ``forward``."""

    @abstractmethod
    def merge(self, before: Summary, after: Summary) -> Summary:
        """The summary of two neighbouring stretches."""

    @abstractmethod
    def finish(self, summary: Summary) -> Tensor:
        """(B, d_model): the vector."""


class Mean(Pooling):
    """The average. Summary: how many positions, their sum."""

    symmetric = True

    def summarise(self, hidden: Tensor, counts: Tensor) -> Summary:
        kept = _where(counts[..., None], hidden.float(), 0.0)
        return counts.sum(1, keepdim=True).float(), kept.sum(1)

    def merge(self, before: Summary, after: Summary) -> Summary:
        return before[0] + after[0], before[1] + after[1]

    def finish(self, summary: Summary) -> Tensor:
        return summary[1] / summary[0].clamp(min=1)


class Max(Pooling):
    """The largest value in each dimension. Summary: how many positions, the maxima."""

    symmetric = True

    def summarise(self, hidden: Tensor, counts: Tensor) -> Summary:
        kept = _where(counts[..., None], hidden.float(), _LOWEST)
        return counts.sum(1, keepdim=True).float(), kept.amax(1)

    def merge(self, before: Summary, after: Summary) -> Summary:
        return before[0] + after[0], torch.maximum(before[1], after[1])

    def finish(self, summary: Summary) -> Tensor:
        return _where(summary[0] > 0, summary[1], 0.0)


class Last(Pooling):
    """The last position that counts. Summary: whether there is one, its vector."""

    def summarise(self, hidden: Tensor, counts: Tensor) -> Summary:
        at = torch.arange(1, counts.shape[1] + 1, device=counts.device)
        last = (counts * at).argmax(1)
        vector = hidden[torch.arange(len(hidden), device=hidden.device), last].float()
        any_counts = counts.any(1, keepdim=True)
        return any_counts.float(), _where(any_counts, vector, 0.0)

    def merge(self, before: Summary, after: Summary) -> Summary:
        return torch.maximum(before[0], after[0]), torch.where(after[0] > 0, after[1], before[1])

    def finish(self, summary: Summary) -> Tensor:
        return summary[1]


class Attention(Pooling):
    """The average weighted by the softmax of a learned score of each position.

    One learned query against the positions, as in Yang et al. 2016 (NAACL, "Hierarchical
    attention networks"), section 2.2, without the hidden layer. Summary: the log of the sum of
    the scores' exponentials, the weighted average.
    """

    symmetric = True

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.score = nn.Linear(d_model, 1, bias=False)
        nn.init.zeros_(self.score.weight)  # begins as the mean

    def summarise(self, hidden: Tensor, counts: Tensor) -> Summary:
        kept = _where(counts[..., None], hidden.float(), 0.0)
        with torch.autocast(hidden.device.type, enabled=False):
            scores = self.score(kept.to(self.score.weight)).squeeze(-1)
        scores = _where(counts, scores.float(), _LOWEST)
        weights = scores.softmax(1)
        return scores.logsumexp(1, keepdim=True), (weights[..., None] * kept).sum(1)

    def merge(self, before: Summary, after: Summary) -> Summary:
        total = torch.logaddexp(before[0], after[0])
        shares = (before[0] - total).exp(), (after[0] - total).exp()
        return total, shares[0] * before[1] + shares[1] * after[1]

    def finish(self, summary: Summary) -> Tensor:
        return summary[1]


def _where(condition: Tensor, values: Tensor, otherwise: float) -> Tensor:
    """Values, or a number where the condition is not met.

    PyTorch makes a tensor of a number on the CPU, and a GPU's work waits until it is copied there.
    """
    number = torch.full((), otherwise, dtype=values.dtype, device=values.device)
    return torch.where(condition, values, number)


POOLINGS: dict[str, type[Pooling]] = {
    "mean": Mean,
    "max": Max,
    "last": Last,
    "attention": Attention,
}
"""Every way of pooling, by the name that settings give it."""
