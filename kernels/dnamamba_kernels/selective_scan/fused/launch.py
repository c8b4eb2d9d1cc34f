"""The fused scan, forward and backward: scratch, launches, and the order of the passes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import triton
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.selective_scan.fused.backward import (
    adjoint_kernel,
    unpack_kernel,
)
from dnamamba_kernels.selective_scan.fused.carry import Sums, carry
from dnamamba_kernels.selective_scan.fused.forward import output_kernel, summary_kernel
from dnamamba_kernels.selective_scan.fused.gradients import Gradients
from dnamamba_kernels.selective_scan.fused.plan import STEPS, folds, plan, segments
from dnamamba_kernels.selective_scan.fused.prepare import prepare_kernel
from dnamamba_kernels.selective_scan.fused.walk import (
    Walk,
    by_state,
    decay_of,
    plan_of,
    stride,
    with_dense_rows,
)
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = [
    "backward",
    "forward",
    "known",
    "outputs",
    "run_backward",
    "run_outputs",
    "summarise",
]


def outputs(
    u: Tensor, A: Tensor, keep: bool, y: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Room for y, unless there is, the final state and, if kept, the states that enter each chunk.

    The latter lie as (B, chunks, N, D), N padded.
    """
    (batch, length, channels), n_states = u.shape, A.shape[1]
    p = plan(batch, length, channels, n_states)
    kept = (batch, p.n_chunks, p.states, channels) if keep else (0,)
    return (
        u.new_empty(batch, length, channels) if y is None else y,
        u.new_empty(batch, channels, n_states, dtype=torch.float32),
        u.new_empty(kept, dtype=torch.float32),
    )


def forward(scan: Scan, keep: bool, onto: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """``outputs``, filled.

    In the place of ``onto``, if there is one: the output of an ungated scan, added to before the
    gate.
    """
    y, final_state, states = outputs(scan.u, scan.A, keep, onto)
    if scan.u.numel():
        _run_forward(
            with_dense_rows(scan), y, final_state, states if keep else None, onto is not None
        )
    return y, final_state, states


def backward(
    scan: Scan, states: Tensor, dy: Tensor | None, dfinal: Tensor | None, initial: bool
) -> list[Tensor]:
    """The gradients of u to delta_bias and, if ``initial``, of the state at the start.

    Each dense, in its argument's dtype; empty for one left out.
    """
    out = scan.gradients(initial)
    if not scan.u.numel():
        return [x.zero_() for x in out]
    dy = torch.zeros_like(scan.u) if dy is None else dense(dy)
    run_backward(with_dense_rows(scan), states, dy, known(dfinal), out)
    return out


def _run_forward(s: Scan, y: Tensor, final_state: Tensor, states: Tensor | None, add: bool) -> None:
    """Fill ``y``, with ``add`` from what is in it before the gate; the final state; and ``states``
    (B, chunks, N, D), if any."""
    walk = Walk.whole(s)
    p, entering = walk.plan, by_state(s.initial_state, walk.plan)
    if p.n_spans > 1:
        sums = summarise(walk, p.n_spans - 1, True)
        before, entering = entering, sums[0].new_empty(len(s.u), p.n_spans, *sums[0].shape[2:])
        carry(sums, before, p.n_spans, entering)
    run_outputs(walk, entering, y, final_state, states, add)


def summarise(walk: Walk, spans: int, whole: bool) -> Sums:
    """Of so many spans the state at the end from zero, and the product of decays (B, spans, N, D).

    Spans beyond the row's end change nothing; ``whole`` says that each is full.
    """
    p, (batch, _, channels) = walk.plan, walk.scan.u.shape
    local = walk.decay.new_empty(batch, spans, p.states, channels)
    product = torch.empty_like(local)
    summary_kernel[walk.programs(spans, p.block)](
        **walk.shared(p.block, p.warps), WHOLE=whole, STEPS=STEPS, SPREAD=p.spread,
        span=p.span, n_spans=spans, local=local, product=product,
    )  # fmt: skip
    return local, product


def run_outputs(
    walk: Walk,
    entering: Tensor | None,
    y: Tensor,
    final_state: Tensor,
    states: Tensor | None,
    add: bool,
) -> None:
    """As ``_run_forward``, from the states that enter each span (B, spans, N, D)."""
    p, s = walk.plan, walk.scan
    final = walk.decay.new_empty(len(s.u), p.states, s.u.shape[2])
    output_kernel[walk.programs(p.n_spans, p.block)](
        **walk.shared(p.block, p.warps), **walk.gated(), STEPS=STEPS, SPREAD=p.spread,
        chunk=p.chunk, span=p.span, n_spans=p.n_spans,
        carried=entering, y=y, y_batch=y.stride(0), Y_ROW=y.stride(1), final=final, states=states,
        ADD=add,
    )  # fmt: skip
    final_state.copy_(s.leave(final[:, : s.A.shape[1]].transpose(1, 2)))


def run_backward(
    s: Scan,
    states: Tensor,
    dy: Tensor,
    dfinal: Callable[[], Tensor | None],
    out: list[Tensor],
    y: Tensor | None = None,
    add: bool = False,
) -> None:
    """Fill ``out``, of which those are left alone that the scan has no argument for.

    u, delta, z and dy are dense along the channels. The gradients of u and delta may be ``s.u`` and
    ``s.delta`` themselves: a program reads a tile of each before it writes there. ``y``, of a scan
    with a gate, is filled with its output once more.

    Of two scans that are added before one gate the first gets an empty gradient of z, and leaves in
    ``y`` what comes before the gate; the second, with ``add``, makes of that and its own the output
    of both and the gradient of z.

    ``dfinal`` is asked for the gradient of the final state (B, D, N) once work that does not need
    it has been launched.
    """
    p, (batch, _, channels) = plan_of(s), s.u.shape
    decay, grads = decay_of(s, p), Gradients.of(s, p, out, y)

    def behind(rows: slice) -> Tensor | None:
        gradient = dfinal()
        return by_state(None if gradient is None else s.rows(rows).leave(gradient[rows]), p)

    *_, dA, _, _, dD, _, dbias, dinitial = out
    for rows, pieces in segments(p, batch, channels):
        walk, of_rows = Walk.of(s.rows(rows), p, decay), grads.rows(rows)
        adjoint: Callable[[], Tensor | None] = partial(behind, rows)
        for piece in pieces:
            left = _segment(walk, of_rows, states[rows], dy[rows], adjoint, piece, add)
            adjoint = known(left)
        if dinitial.numel():
            dinitial[rows] = left[:, : s.A.shape[1]].transpose(1, 2)
    _add_up(grads.A[:, :, : s.A.shape[1]].transpose(2, 3), dA)
    if grads.D is not None:
        _add_up(grads.D, dD)
    if grads.delta_bias is not None:
        _add_up(grads.delta_bias, dbias)


def known(gradient: Tensor | None) -> Callable[[], Tensor | None]:
    """One that need not be waited for, as ``run_backward`` asks for it."""
    return lambda: gradient


def _add_up(shares: Tensor, out: Tensor) -> None:
    """``out``, filled with the sum over batch and chunks; in one launch where dtypes allow."""
    if out.dtype == shares.dtype:
        torch.sum(shares, (0, 1), out=out)
    else:
        out.copy_(shares.sum((0, 1)))


def _segment(
    walk: Walk,
    grads: Gradients,
    states: Tensor,
    dy: Tensor,
    adjoint: Callable[[], Tensor | None],
    piece: tuple[int, int],
    add: bool,
) -> Tensor:
    """A piece's chunks, first and count; the adjoint that enters, to the one that leaves."""
    (first, count), p, (batch, _, channels) = piece, walk.plan, walk.scan.u.shape
    new = walk.decay.new_empty
    borders, sums = _prepare(walk, grads, states, dy, piece, add)
    leaving, left = torch.empty_like(sums[0]), new(batch, p.states, channels)
    carry(sums, adjoint(), count, leaving, left, backward=True)
    del sums  # they make way for the shares of dB and dC
    n_blocks = triton.cdiv(channels, p.back_block)
    dbc = new(n_blocks, batch, count * p.chunk // STEPS, p.states, 2 * STEPS)
    adjoint_kernel[walk.programs(count, p.back_block)](
        **walk.shared(p.back_block, p.back_warps), **_cut(walk, dy, piece),
        # The interpreter knows no PTX.
        FOLDED=folds(p, channels) and not triton.knobs.runtime.interpret,
        leaving=leaving, borders=borders, dbc=dbc, block_stride=dbc.stride(0),
        ddecay=grads.A, dbias=grads.delta_bias,
        du=grads.u, du_batch=grads.u.stride(0), DU_ROW=grads.u.stride(1),
        ddelta=grads.delta, ddelta_batch=grads.delta.stride(0), DDELTA_ROW=grads.delta.stride(1),
    )  # fmt: skip
    _unpack(dbc, grads.B, grads.C, first * p.chunk, walk.scan.reverse)
    return left


def _prepare(
    walk: Walk,
    grads: Gradients,
    states: Tensor,
    dy: Tensor,
    piece: tuple[int, int],
    add: bool,
) -> tuple[Tensor, Sums]:
    """The sweep forward over a piece's chunks.

    Gives the states at borders and each chunk's adjoint summary, and fills what it can of
    ``grads``.
    """
    count, p, (batch, _, channels) = piece[1], walk.plan, walk.scan.u.shape
    new, y, dz = walk.decay.new_empty, grads.y, grads.z
    borders = new(batch, count, p.chunk // STEPS, p.states, channels)
    local = new(batch, count, p.states, channels)
    product = torch.empty_like(local)
    prepare_kernel[walk.programs(count, p.block)](
        **walk.shared(p.block, p.warps), **_cut(walk, dy, piece), STEPS=STEPS, ADD=add,
        carried=states, borders=borders, local=local, product=product, dskip=grads.D,
        y=y, y_batch=stride(y, 0), Y_ROW=stride(y, 1),
        dz=dz, dz_batch=stride(dz, 0), DZ_ROW=stride(dz, 1),
    )  # fmt: skip
    return borders, (local, product)


def _cut(walk: Walk, dy: Tensor, piece: tuple[int, int]) -> dict[str, Any]:
    """What both sweeps of the backward take of a piece."""
    return walk.gated() | {
        "chunk": walk.plan.chunk, "first": piece[0], "n_chunks": piece[1],
        "all_chunks": walk.plan.n_chunks,
        "dy": dy, "dy_batch": dy.stride(0), "DY_ROW": dy.stride(1),
    }  # fmt: skip


def _unpack(shares: Tensor, dB: Tensor, dC: Tensor, start: int, reverse: bool) -> None:
    """Shares (blocks, B, tiles, N, 8) from scan position ``start`` on, summed, into (B, L, N)."""
    n_blocks, batch, n_tiles, states, _ = shares.shape
    tiles = max(1, 128 // states)
    unpack_kernel[(triton.cdiv(batch * n_tiles, tiles),)](
        shares, dB, dC, dB.shape[1], start, n_tiles, batch * n_tiles, n_blocks, dB.shape[2],
        shares.stride(0), *dB.stride()[:2], *dC.stride()[:2],
        N=states, TILES=tiles, REVERSE=reverse, num_warps=4,
    )  # fmt: skip
