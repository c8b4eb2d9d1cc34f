"""The scan of a part of a sequence, in halves: before and after what enters it is known.

The first half sums up spans, as the forward does anyway; the second begins with the sums. So to say
what the part does to a state costs the last span. What it asks of one, the gradient of the state
before it, is a sweep of its own, for the backward sums up too late and piece by piece; but one over
those spans alone that the state reaches, which the forward's products of decays tell.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.selective_scan.fused.adjoint_summary import adjoint_summary_kernel
from dnamamba_kernels.selective_scan.fused.carry import Chain, groups_of
from dnamamba_kernels.selective_scan.fused.launch import outputs, run_outputs, summarise
from dnamamba_kernels.selective_scan.fused.plan import STEPS
from dnamamba_kernels.selective_scan.fused.walk import Walk, by_state, with_dense_rows
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Begun", "begin", "finish", "initial_gradient", "summary"]

# Of what comes through a product of decays below it nothing is left: to change a bit of what it is
# added to it would have to be 10^12 times that.
_LEAST = 2.0**-64


class Begun(NamedTuple):
    """A scan (B at least 1) whose spans are summed up."""

    walk: Walk
    chain: Chain

    def summary(self) -> tuple[Tensor, Tensor]:
        """What becomes of a state h, ``product * h + local``: both (B, D, N), fp32.

        The scan's own initial state is in ``local``.
        """
        s, p = self.walk.scan, self.walk.plan
        product, local = self.chain.whole(by_state(s.initial_state, p))
        passed, left = (_by_channel(x, s) for x in (product, local))
        return s.leave(passed), s.leave(left)

    def reach(self) -> Tensor:
        """How many spans a state may come to that enters the scan: (B, D) int32.

        To whole groups of the chain, of which it looks at the products of decays: what is behind
        ``_LEAST`` of them counts for nothing, nor what is behind a mark.
        """
        products = self.chain.of_groups[1]
        size = self.chain.sums[0].shape[1] // products.shape[1]
        # NaN, of infinity times nothing, is no less than anything.
        passed = ~(products[:, :-1].cumprod(1) < _LEAST)
        return ((1 + passed.any(2).sum(1)) * size).int()


def begin(scan: Scan) -> Begun:
    """The first half of a forward."""
    walk = Walk.whole(with_dense_rows(scan))
    p, length = walk.plan, scan.u.shape[1]
    groups, size = groups_of(p.n_spans)
    whole = length % p.span == 0 and groups * size == p.n_spans
    return Begun(walk, Chain.of(summarise(walk, groups * size, whole), p.n_spans))


def finish(
    begun: Begun, initial_state: Tensor | None, keep: bool, onto: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The second, from the state that enters (B, D, N): as ``forward`` gives it."""
    walk, chain = begun
    y, final_state, states = outputs(walk.scan.u, walk.scan.A, keep, onto)
    entering, _ = chain.carried(by_state(initial_state, walk.plan), walk.plan.n_spans)
    kept = states if keep else None
    run_outputs(walk, entering, y, final_state, kept, onto is not None)
    return y, final_state, states


def summary(scan: Scan) -> tuple[Tensor, Tensor]:
    """``Begun.summary`` of a scan; no outputs."""
    if not scan.u.numel():
        product = scan.u.new_ones(len(scan.u), *scan.A.shape, dtype=torch.float32)
        return product, torch.zeros_like(product)
    return begin(scan).summary()


def initial_gradient(scan: Scan, dy: Tensor, reach: Tensor | None = None) -> Tensor:
    """The gradient of the state at the start (B, D, N), fp32, through y alone.

    ``reach`` is ``Begun.reach`` of the same scan; without it the sweep goes over all of it.
    """
    if not scan.u.numel():
        return scan.u.new_zeros(len(scan.u), *scan.A.shape, dtype=torch.float32)
    walk, dy = Walk.whole(with_dense_rows(scan)), dense(dy)
    p, (batch, length, channels) = walk.plan, scan.u.shape
    span, n_spans = (p.chunk, p.n_chunks) if p.n_spans == 1 else (p.span, p.n_spans)
    groups, size = groups_of(n_spans)
    whole = length % STEPS == 0 and groups * size == n_spans
    local = walk.decay.new_empty(batch, groups * size, p.states, channels)
    product = torch.empty_like(local)
    block = p.block // p.warps  # a warp's: the fewer channels, the fewer spans they reach
    arguments = walk.shared(block, 1) | walk.gated() | {"WHOLE": whole}
    adjoint_summary_kernel[walk.programs(groups * size, block)](
        **arguments, STEPS=STEPS, SPREAD=p.spread, span=span, n_spans=groups * size,
        reach=None if p.n_spans == 1 else reach,
        dy=dy, dy_batch=dy.stride(0), DY_ROW=dy.stride(1), local=local, product=product,
    )  # fmt: skip
    return _by_channel(Chain.of((local, product), n_spans, backward=True).whole(None)[1], scan)


def _by_channel(state: Tensor, scan: Scan) -> Tensor:
    """(B, N, D), N padded -> (B, D, N)."""
    return state[:, : scan.A.shape[1]].transpose(1, 2).contiguous()
