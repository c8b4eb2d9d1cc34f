"""The scan of a part of a sequence, in halves: before and after what enters it is known.

The first half sums up spans or chunks, as both passes do anyway; the second begins with the sums.
So to say what the part does to a state, or to a state's gradient, costs little: forward the last
span, backward a sweep over Δ, C, z and dy, of which the sweep that prepares is then relieved.
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

__all__ = [
    "Begun",
    "adjoint_chain",
    "begin",
    "finish",
    "gradient_before",
    "initial_gradient",
    "summary",
]


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


def adjoint_chain(scan: Scan, dy: Tensor) -> Chain:
    """The first half of a backward, of which ``run_backward`` takes the rest."""
    walk, dy = Walk.whole(with_dense_rows(scan)), dense(dy)
    p, (batch, length, channels) = walk.plan, scan.u.shape
    groups, size = groups_of(p.n_chunks)
    whole = length % STEPS == 0 and groups * size == p.n_chunks
    local = walk.decay.new_empty(batch, groups * size, p.states, channels)
    product = torch.empty_like(local)
    arguments = walk.shared(p.block, p.warps) | walk.gated() | {"WHOLE": whole}
    adjoint_summary_kernel[walk.programs(groups * size, p.block)](
        **arguments, STEPS=STEPS, SPREAD=p.spread, chunk=p.chunk, n_chunks=groups * size,
        dy=dy, dy_batch=dy.stride(0), DY_ROW=dy.stride(1), local=local, product=product,
    )  # fmt: skip
    return Chain.of((local, product), p.n_chunks, backward=True)


def summary(scan: Scan) -> tuple[Tensor, Tensor]:
    """``Begun.summary`` of a scan; no outputs."""
    if not scan.u.numel():
        product = scan.u.new_ones(len(scan.u), *scan.A.shape, dtype=torch.float32)
        return product, torch.zeros_like(product)
    return begin(scan).summary()


def initial_gradient(scan: Scan, dy: Tensor) -> Tensor:
    """The gradient of the state at the start (B, D, N), fp32, through y alone."""
    if not scan.u.numel():
        return scan.u.new_zeros(len(scan.u), *scan.A.shape, dtype=torch.float32)
    return gradient_before(adjoint_chain(scan, dy), scan)


def gradient_before(chain: Chain, scan: Scan) -> Tensor:
    """The same, of the first half of that scan's backward."""
    return _by_channel(chain.whole(None)[1], scan)


def _by_channel(state: Tensor, scan: Scan) -> Tensor:
    """(B, N, D), N padded -> (B, D, N)."""
    return state[:, : scan.A.shape[1]].transpose(1, 2).contiguous()
