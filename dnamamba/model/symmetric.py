"""Strand symmetry, for any backbone that reads both ways.

Schiff et al. 2024 (arXiv:2403.03234), section 4. One stack S, without a parameter more, reads a
sequence x and its opposite strand RC(x); a position's hidden state is both side by side,

    h(x) = [S(x), flip(S(RC(x)))],

the second half flipped along positions and channels, so that h(RC(x)) is h(x) flipped along both.
Logits are W h[:d] + W[complement] flip(h[d:]), and those of RC(x) are those of x read backwards,
each base in its complement's place. Nothing is approximate: both sides do the same sums.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba.config import BackboneConfig
from dnamamba.model.backbone import Backbone
from dnamamba.model.footprint import Footprint, Reading
from dnamamba.model.state import State
from dnamamba.model.strand import reverse_complement
from dnamamba_kernels import pieces

__all__ = ["Symmetric"]


class Symmetric(Backbone):
    """Stands before a backbone among the bases of a class, and lets it read both strands.

    Hidden states are (B, L, 2 d_model). ``features`` are (B, L, d_model), the mean of both halves,
    the second turned back: those of the opposite strand are the same in reverse order.
    """

    symmetric = True
    complement_ids: Tensor  # not stored: the configuration says it

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        # On the CPU also where models are built without memory, to be filled with weights.
        ids = torch.tensor(self.complement, device="cpu")
        self.register_buffer("complement_ids", ids, persistent=False)

    @property
    @abstractmethod
    def complement(self) -> tuple[int, ...]:
        """V ids, of each that of the complementary base."""

    def embedded(self, rows: Tensor) -> Tensor:
        return torch.cat([rows, rows.flip(1)[..., self.complement_ids]])

    def features(self, hidden: Tensor) -> Tensor:
        own, opposite = hidden.chunk(2, -1)
        return (own + opposite.flip(-1)) / 2

    def logits(self, hidden: Tensor, weight: Tensor) -> Tensor:
        own, opposite = hidden.chunk(2, -1)
        of_opposite = weight[self.complement_ids].flip(1)
        return F.linear(own, weight) + F.linear(opposite, of_opposite)

    def footprint(self, reading: Reading) -> Footprint | None:
        one = super().footprint(reading._replace(rows=2 * reading.rows))
        if one is None:
            return None
        # Both halves once more, side by side.
        both = 2 * reading.positions * self.config.d_model * reading.itemsize
        return one._replace(hidden=one.hidden + both)

    def _run(
        self,
        tokens: Tensor,
        state: Any,
        resets: Tensor | None,
        lengths: Tensor | None,
        layer: int | None,
    ) -> tuple[Tensor, State | None]:
        if pieces.current() is not None:
            return self._run_in_place(tokens, resets, lengths, layer), None
        if lengths is None:
            lengths = torch.full_like(tokens[:, 0], tokens.shape[1], dtype=torch.int64)
            both_lengths = None
        else:
            both_lengths = torch.cat([lengths, lengths])
        opposite = reverse_complement(tokens, lengths, self.complement_ids.to(tokens.dtype))
        if resets is not None:
            # What stands before a mark on one strand stands behind it on the other.
            resets = torch.cat([resets, _opposite_marks(resets, lengths)])
        both = torch.cat([tokens, opposite])
        hidden, _ = super()._run(both, state, resets, both_lengths, layer)  # type: ignore[safe-super]
        own, turned = hidden.chunk(2)
        return torch.cat([own, _flipped(turned, lengths)], -1), None

    def _run_in_place(
        self, tokens: Tensor, resets: Tensor | None, lengths: Tensor | None, layer: int | None
    ) -> Tensor:
        """Of a piece, whose opposite strand lies in another one: complemented, from its other end.

        Marks and padding stay where they are: what reads from the right takes them as they stand.
        """
        opposite = self.complement_ids.to(tokens.dtype)[tokens.int()]
        own, _ = super()._run(tokens, None, resets, lengths, layer)  # type: ignore[safe-super]
        turned, _ = super(Symmetric, self.turned())._run(opposite, None, resets, lengths, layer)  # type: ignore[safe-super]
        return torch.cat([own, turned.flip(-1)], -1)


def _flipped(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Each row's real positions from the last to the first, and the channels likewise."""
    at = torch.arange(hidden.shape[1], device=hidden.device)
    source = torch.where(at < lengths[:, None], lengths[:, None] - 1 - at, at)
    return hidden.flip(-1).gather(1, source[..., None].expand_as(hidden))


def _opposite_marks(resets: Tensor, lengths: Tensor) -> Tensor:
    """The first position of each packed segment on the opposite strand."""
    at = torch.arange(resets.shape[1], device=resets.device)
    mirrored = lengths[:, None] - at  # a border before t lies before lengths - t
    inside = (mirrored > 0) & (mirrored < lengths[:, None])
    marks = resets.gather(1, mirrored.clamp(0, resets.shape[1] - 1))
    return marks & inside
