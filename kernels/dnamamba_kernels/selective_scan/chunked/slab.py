"""A slab of the scan: the decays and states of T positions of R rows, laid out (T, R, N, D).

Channels lie innermost, so that every product is one contiguous run whatever N is, and sums over N
or D are batched matrix products. The arrays are made once and filled again slab after slab.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Signals", "Slab"]


class Signals(NamedTuple):
    """What drives the recurrence, or the gradients of that, over the same T positions."""

    step: Tensor  # Δ (T, R, D)
    weighted: Tensor  # Δ u (T, R, D)
    B: Tensor  # (T, R, N)
    C: Tensor  # (T, R, N)

    def part(self, positions: slice) -> "Signals":
        return Signals(*(tensor[positions] for tensor in self))

    def empty_like(self) -> "Signals":
        return Signals(*(torch.empty_like(tensor) for tensor in self))


class Slab:
    """Decays a, states before and after each position, and the gradients g of the latter.

    The steps are views of one position each, in the scan's order.
    """

    def __init__(self, like: Tensor, size: tuple[int, ...], reverse: bool) -> None:
        positions, *state = size
        self.size = size
        self.a = like.new_empty(size)
        h = like.new_empty(positions + 1, *state)
        self.before, self.after = (h[1:], h[:-1]) if reverse else (h[:-1], h[1:])
        self._g: Tensor | None = None
        self.order = slice(None, None, -1 if reverse else 1)
        self.a_steps, self.h_steps = (t.unbind(0)[self.order] for t in (self.a, h))

    @property
    def g(self) -> Tensor:
        """Made at its first use: a scan that no backward follows has none."""
        if self._g is None:
            self._g = torch.empty_like(self.a)
        return self._g

    def scan(
        self,
        signals: Signals,
        A: Tensor,
        cuts: Tensor | None,
        start: Tensor,
        decay: Callable[[Tensor], Tensor] = torch.exp_,
    ) -> Tensor:
        """h_t = a_t h_{t-1} + Δ_t u_t B_t from ``start`` (R, N, D); the state at the end.

        A is (N, D); a_t is ``decay``, in place, of Δ_t A. At ``cuts`` (T, R) no state enters.
        """
        decay(torch.mul(signals.step[:, :, None], A, out=self.a))
        torch.mul(signals.weighted[:, :, None], signals.B[..., None], out=self.after)
        self.h_steps[0].copy_(start)
        cut = self._cut(cuts)
        steps = zip(self.a_steps, self.h_steps, self.h_steps[1:], strict=False)
        for k, (a, before, h) in enumerate(steps):
            h.addcmul_(a, before.masked_fill(cut[k], 0.0) if k in cut else before)
        return self.h_steps[-1]

    def _cut(self, cuts: Tensor | None) -> dict[int, Tensor]:
        """Zero the decays at cuts; by step, the rows (R, 1, 1) that no state enters.

        A decay of zero stops any state but an infinite one: that takes the rows.
        """
        if cuts is None:
            return {}
        self.a[cuts] = 0.0
        rows = cuts[:, :, None, None].unbind(0)[self.order]
        return {k: rows[k] for k, any_row in enumerate(cuts.any(1).tolist()[self.order]) if any_row}

    def read(self, signals: Signals, y: Tensor) -> None:
        """y_t = C_t · h_t, into ``y`` (T, R, D)."""
        _over_states(signals.C, self.after, y)

    def backward(
        self,
        signals: Signals,
        A: Tensor,
        grad_y: Tensor,
        later: Tensor,
        grads: Signals,
        grad_A: Tensor,
    ) -> Tensor:
        """Fill ``grads`` and add to ``grad_A``, after ``scan``; the gradient of the start.

        ``later`` (R, N, D) is the gradient of the state at the end. ``grads.step`` takes what
        reaches Δ through the decay alone.
        """
        # g_t = C_t dy_t + a_{t+1} g_{t+1}
        torch.mul(signals.C[..., None], grad_y[:, :, None], out=self.g)
        g_back = self.g.unbind(0)[self.order][::-1]
        g_back[0].add_(later)
        a_back = self.a_steps[::-1]
        for a, after, g in zip(a_back, g_back, g_back[1:], strict=False):
            g.addcmul_(a, after)

        _over_channels(grad_y, self.after, grads.C)
        _over_channels(signals.weighted, self.g, grads.B)
        _over_states(signals.B, self.g, grads.weighted)

        self.a.mul_(self.g)
        start = self.a_steps[0].clone()
        # The gradient of Δ_t A is a_t g_t h_{t-1}. Its products overwrite the states, now spent.
        exponent, product = self.a.mul_(self.before), self.before
        torch.mul(exponent, signals.step[:, :, None], out=product)
        grad_A += product.sum((0, 1))
        torch.mul(exponent, A, out=product)
        torch.sum(product, 2, out=grads.step)
        return start


def _over_states(weights: Tensor, states: Tensor, out: Tensor) -> None:
    """(T, R, N) and (T, R, N, D) summed over N into (T, R, D)."""
    rows = weights.flatten(0, 1)[:, None]
    torch.bmm(rows, states.flatten(0, 1), out=out.flatten(0, 1)[:, None])


def _over_channels(weights: Tensor, states: Tensor, out: Tensor) -> None:
    """(T, R, D) and (T, R, N, D) summed over D into (T, R, N)."""
    # As a row times a transpose: nearly three times as fast as a matrix times a column.
    rows = weights.flatten(0, 1)[:, None]
    torch.bmm(rows, states.flatten(0, 1).transpose(1, 2), out=out.flatten(0, 1)[:, None])
