"""The carry: what enters each of a row of parts, from what each does to it.

One chain of all parts, or, where what enters the first is known later than the parts are, a
``Chain`` of two levels, which says what all of them do together before it says what enters each.
"""

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from dnamamba_kernels.selective_scan.fused.forward import carry_kernel
from dnamamba_kernels.selective_scan.fused.plan import LINKS

__all__ = ["Chain", "Sums", "carry", "groups_of"]

Sums = tuple[Tensor, Tensor]
"""Of each of some parts what it adds to what enters it, and what it leaves of that; each
(B, parts, N, D)."""


def carry(
    sums: Sums,
    first: Tensor | None,
    n_out: int,
    carried: Tensor | None = None,
    last: Tensor | None = None,
    backward: bool = False,
) -> None:
    """Fill ``carried`` and ``last``, as far as there are any.

    Args:
        sums: of the parts.
        first: (B, N, D), what enters the first; None is zero.
        n_out: how many parts are walked; backward all are, and without ``carried`` too.
        carried: (B, n_out, N, D), what enters each.
        last: (B, N, D), what leaves the last.
        backward: from right to left.
    """
    (local, product), (batch, n_in, states, channels) = sums, sums[0].shape
    width = states * channels
    block, links = 32, min(LINKS, triton.next_power_of_2(n_out))
    carry_kernel[(triton.cdiv(width, block) * batch,)](
        local, product, first, carried, last, width, n_in, n_out,
        BACKWARD=backward, BLOCK=block, LINKS=links, num_warps=1,
    )  # fmt: skip


def groups_of(parts: int) -> tuple[int, int]:
    """Into how many groups a ``Chain`` takes its parts, and of how many each; the last not full."""
    groups = triton.cdiv(parts, LINKS)
    return groups, triton.cdiv(parts, groups)


@dataclass(frozen=True)
class Chain:
    """Parts in groups, each summed up: neither the chain within a group nor over them is long.

    Attributes:
        sums: of groups * size parts; those that are too many change nothing.
        of_groups: of groups.
        backward: what enters comes from the right.
    """

    sums: Sums
    of_groups: Sums
    backward: bool

    @classmethod
    def of(cls, sums: Sums, parts: int, backward: bool = False) -> "Chain":
        """``parts``: how many there really are, those on the left."""
        (batch, _, *state), (groups, size) = sums[0].shape, groups_of(parts)
        local = sums[0].new_empty(batch, groups, *state)
        carry(_grouped(sums, size), None, size, last=local.view(-1, *state), backward=backward)
        product = sums[1].view(batch, groups, size, *state).prod(2)
        return cls(sums, (local, product), backward)

    def whole(self, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """The product of all, and what leaves the last if ``first`` enters: (B, N, D) each."""
        groups, last = self.of_groups[0].shape[1], self.of_groups[0].new_empty(self._state)
        carry(self.of_groups, first, groups, last=last, backward=self.backward)
        return self.of_groups[1].prod(1), last

    def carried(self, first: Tensor | None, parts: int) -> tuple[Tensor, Tensor]:
        """What enters each of ``parts`` (B, parts, N, D), and what leaves the last (B, N, D).

        Once: the former takes the place of the sums, of which a program reads its own before it
        writes there.
        """
        entering = torch.empty_like(self.of_groups[0])
        groups, last = entering.shape[1], entering.new_empty(self._state)
        carry(self.of_groups, first, groups, entering, last, self.backward)
        size = self.sums[0].shape[1] // groups
        within = _grouped(self.sums, size)
        carry(within, entering.flatten(0, 1), size, within[0], backward=self.backward)
        return self.sums[0][:, :parts].contiguous(), last

    @property
    def _state(self) -> tuple[int, ...]:
        batch, _, *state = self.sums[0].shape
        return batch, *state


def _grouped(sums: Sums, size: int) -> Sums:
    """Each (B, groups * size, N, D) -> (B * groups, size, N, D)."""
    local, product = (x.view(-1, size, *x.shape[2:]) for x in sums)
    return local, product
