"""The fused scan, forward and backward: scratch, launches, and the order of the passes."""

from typing import Any

import torch
import triton
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.selective_scan.fused.backward import (
    adjoint_kernel,
    prepare_kernel,
    unpack_kernel,
)
from dnamamba_kernels.selective_scan.fused.forward import (
    carry_kernel,
    output_kernel,
    summary_kernel,
)
from dnamamba_kernels.selective_scan.fused.gradients import Gradients
from dnamamba_kernels.selective_scan.fused.plan import LINKS, STEPS, Plan, folds, plan, segments
from dnamamba_kernels.selective_scan.fused.walk import Walk, by_state, decay_of, stride
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["backward", "forward", "initial_gradient", "outputs", "run_backward", "summary"]


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
        _run_forward(_dense(scan), y, final_state, states if keep else None, onto is not None)
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
    run_backward(_dense(scan), states, dy, dfinal, out)
    return out


def summary(scan: Scan) -> tuple[Tensor, Tensor]:
    """What becomes of a state h, ``product * h + local``: both (B, D, N), fp32; no outputs."""
    (batch, length, channels), n_states = scan.u.shape, scan.A.shape[1]
    s, p = _dense(scan), _plan(scan)
    if not scan.u.numel():
        product = scan.u.new_ones(batch, channels, n_states, dtype=torch.float32)
        return product, torch.zeros_like(product)
    walk = Walk.of(s, p, decay_of(s, p))
    local = walk.decay.new_empty(batch, p.n_spans, p.states, channels)
    product = torch.empty_like(local)
    summary_kernel[walk.programs(p.n_spans, p.block)](
        **walk.shared(p.block, p.warps), WHOLE=length % p.span == 0, STEPS=STEPS, SPREAD=p.spread,
        span=p.span, n_spans=p.n_spans, local=local, product=product,
    )  # fmt: skip
    carried = _carry(local, product, by_state(s.initial_state, p), None, p.n_spans + 1)
    ends = product.prod(1), carried[:, -1]
    passed, left = (x[:, :n_states].transpose(1, 2).contiguous() for x in ends)
    return s.leave(passed), s.leave(left)


def initial_gradient(scan: Scan, states: Tensor, dy: Tensor) -> Tensor:
    """The gradient of the state at the start (B, D, N), fp32, through y alone.

    The first of the two sweeps of which ``backward`` is made.
    """
    (batch, _, channels), n_states = scan.u.shape, scan.A.shape[1]
    out = scan.u.new_zeros(batch, channels, n_states, dtype=torch.float32)
    if not out.numel():
        return out
    s, dy = _dense(scan._replace(D=None)), dense(dy)
    p = _plan(s)
    decay = decay_of(s, p)
    for rows, pieces in segments(p, batch, channels):
        walk, adjoint = Walk.of(s.rows(rows), p, decay), None
        for piece in pieces:
            adjoint = _prepare(walk, None, states[rows], dy[rows], adjoint, piece, False)[2]
        assert adjoint is not None
        out[rows] = adjoint[:, :n_states].transpose(1, 2)
    return out


def _plan(scan: Scan) -> Plan:
    batch, length, channels = scan.u.shape
    return plan(batch, length, channels, scan.A.shape[1])


def _dense(scan: Scan) -> Scan:
    return scan._replace(u=dense(scan.u), delta=dense(scan.delta), z=dense(scan.z))


def _run_forward(s: Scan, y: Tensor, final_state: Tensor, states: Tensor | None, add: bool) -> None:
    """Fill ``y``, with ``add`` from what is in it before the gate; the final state; and ``states``
    (B, chunks, N, D), if any."""
    p = _plan(s)
    walk, entering = Walk.of(s, p, decay_of(s, p)), by_state(s.initial_state, p)
    batch, _, channels = s.u.shape
    shared = walk.shared(p.block, p.warps) | {"STEPS": STEPS, "SPREAD": p.spread}
    if p.n_spans > 1:
        n = p.n_spans - 1
        local = walk.decay.new_empty(batch, n, p.states, channels)
        product = torch.empty_like(local)
        summary_kernel[walk.programs(n, p.block)](
            **shared, WHOLE=True, span=p.span, n_spans=n, local=local, product=product
        )
        entering = _carry(local, product, entering, None, p.n_spans)
    final = walk.decay.new_empty(batch, p.states, channels)
    output_kernel[walk.programs(p.n_spans, p.block)](
        **shared, **walk.gated(), chunk=p.chunk, span=p.span, n_spans=p.n_spans,
        carried=entering, y=y, y_batch=y.stride(0), Y_ROW=y.stride(1), final=final, states=states,
        ADD=add,
    )  # fmt: skip
    final_state.copy_(s.leave(final[:, : s.A.shape[1]].transpose(1, 2)))


def run_backward(
    s: Scan,
    states: Tensor,
    dy: Tensor,
    dfinal: Tensor | None,
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
    """
    p, (batch, _, channels) = _plan(s), s.u.shape
    decay, grads = decay_of(s, p), Gradients.of(s, p, out, y)
    dfinal = None if dfinal is None else s.leave(dfinal)
    *_, dA, _, _, dD, _, dbias, dinitial = out
    for rows, pieces in segments(p, batch, channels):
        walk = Walk.of(s.rows(rows), p, decay)
        adjoint = by_state(None if dfinal is None else dfinal[rows], p)
        for piece in pieces:
            adjoint = _segment(walk, grads.rows(rows), states[rows], dy[rows], adjoint, piece, add)
        if dinitial.numel():
            assert adjoint is not None
            dinitial[rows] = adjoint[:, : s.A.shape[1]].transpose(1, 2)
    _add_up(grads.A[:, :, : s.A.shape[1]].transpose(2, 3), dA)
    if grads.D is not None:
        _add_up(grads.D, dD)
    if grads.delta_bias is not None:
        _add_up(grads.delta_bias, dbias)


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
    adjoint: Tensor | None,
    piece: tuple[int, int],
    add: bool,
) -> Tensor:
    """A piece's chunks, first and count; the adjoint that enters, to the one that leaves."""
    (first, count), p, (batch, _, channels) = piece, walk.plan, walk.scan.u.shape
    borders, leaving, left = _prepare(walk, grads, states, dy, adjoint, piece, add)
    n_blocks = triton.cdiv(channels, p.back_block)
    dbc = walk.decay.new_empty(n_blocks, batch, count * p.chunk // STEPS, p.states, 2 * STEPS)
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
    grads: Gradients | None,
    states: Tensor,
    dy: Tensor,
    adjoint: Tensor | None,
    piece: tuple[int, int],
    add: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The sweep forward: the states at borders, the adjoints that leave each chunk and the piece.

    It fills what it can of ``grads``, if there are any.
    """
    count, p, (batch, _, channels) = piece[1], walk.plan, walk.scan.u.shape
    dskip, y, dz = (None, None, None) if grads is None else (grads.D, grads.y, grads.z)
    new = walk.decay.new_empty
    borders = new(batch, count, p.chunk // STEPS, p.states, channels)
    local = new(batch, count, p.states, channels)
    product = torch.empty_like(local)
    prepare_kernel[walk.programs(count, p.block)](
        **walk.shared(p.block, p.warps), **_cut(walk, dy, piece), STEPS=STEPS, ADD=add,
        carried=states, borders=borders, local=local, product=product, dskip=dskip,
        y=y, y_batch=stride(y, 0), Y_ROW=stride(y, 1),
        dz=dz, dz_batch=stride(dz, 0), DZ_ROW=stride(dz, 1),
    )  # fmt: skip
    left = new(batch, p.states, channels)
    return borders, _carry(local, product, adjoint, left, count), left


def _cut(walk: Walk, dy: Tensor, piece: tuple[int, int]) -> dict[str, Any]:
    """What both sweeps of the backward take of a piece."""
    return walk.gated() | {
        "chunk": walk.plan.chunk, "first": piece[0], "n_chunks": piece[1],
        "all_chunks": walk.plan.n_chunks,
        "dy": dy, "dy_batch": dy.stride(0), "DY_ROW": dy.stride(1),
    }  # fmt: skip


def _carry(
    local: Tensor, product: Tensor, first: Tensor | None, last: Tensor | None, n_out: int
) -> Tensor:
    """What enters each of ``n_out`` pieces; right to left if ``last`` takes what comes out."""
    batch, n_in, states, channels = local.shape
    width = states * channels
    carried = local.new_empty(batch, n_out, states, channels)
    block, links = 32, min(LINKS, triton.next_power_of_2(n_out))
    carry_kernel[(triton.cdiv(width, block) * batch,)](
        local, product, first, carried, last, width, n_in, n_out,
        BACKWARD=last is not None, BLOCK=block, LINKS=links, num_warps=1,
    )  # fmt: skip
    return carried


def _unpack(shares: Tensor, dB: Tensor, dC: Tensor, start: int, reverse: bool) -> None:
    """Shares (blocks, B, tiles, N, 8) from scan position ``start`` on, summed, into (B, L, N)."""
    n_blocks, batch, n_tiles, states, _ = shares.shape
    tiles = max(1, 128 // states)
    unpack_kernel[(triton.cdiv(batch * n_tiles, tiles),)](
        shares, dB, dC, dB.shape[1], start, n_tiles, batch * n_tiles, n_blocks, dB.shape[2],
        shares.stride(0), *dB.stride()[:2], *dC.stride()[:2],
        N=states, TILES=tiles, REVERSE=reverse, num_warps=4,
    )  # fmt: skip
