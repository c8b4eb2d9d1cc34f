"""Launching the scan's kernels: prepared arguments, scratch, and the order of the passes."""

from dataclasses import dataclass, fields, replace

import torch
import triton
from torch import Tensor

from dnamamba_kernels.selective_scan.fused import backward as backward
from dnamamba_kernels.selective_scan.fused import forward as forward
from dnamamba_kernels.selective_scan.fused.plan import LINKS, STEPS, Plan, folds, segments

__all__ = ["Scan", "run_backward", "run_forward"]

LOG2E = 1.4426950408889634


@dataclass(frozen=True)
class Scan:
    """The arguments of one scan, as the public op names them.

    The last dimension of u, delta and z lies dense.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    softplus: bool
    resets: Tensor | None
    reverse: bool

    def rows(self, part: slice) -> "Scan":
        """The same scan of a part of the batch."""
        u, delta, B, C = (x[part] for x in (self.u, self.delta, self.B, self.C))
        z = None if self.z is None else self.z[part]
        resets = None if self.resets is None else self.resets[part]
        return replace(self, u=u, delta=delta, B=B, C=C, z=z, resets=resets)

    def modes(self, p: Plan, block: int, warps: int) -> dict[str, int | bool]:
        """The compile-time arguments that every kernel takes."""
        return {
            "N": p.states,
            "CHANNELS": self.u.shape[2],
            "BLOCK_D": block,
            "U_ROW": self.u.stride(1),
            "DELTA_ROW": self.delta.stride(1),
            "SOFTPLUS": self.softplus,
            "REVERSE": self.reverse,
            "num_warps": warps,
        }


def run_forward(
    p: Plan, s: Scan, initial_state: Tensor | None, y: Tensor, final_state: Tensor, states: Tensor
) -> None:
    """Fill ``y``, ``final_state`` and, unless it is empty, ``states`` (B, chunks, N, D)."""
    batch, length, channels = s.u.shape
    packed, decay, marks = _pack(s, p), _decay(s, p), _marks(s)
    entering = _by_state(initial_state, p)
    n_blocks = triton.cdiv(channels, p.block)
    modes = s.modes(p, p.block, p.warps) | {"STEPS": STEPS, "SPREAD": p.spread}
    if p.n_spans > 1:
        n = p.n_spans - 1
        local = decay.new_empty(batch, n, p.states, channels)
        product = torch.empty_like(local)
        forward.summary_kernel[(n_blocks * n * batch,)](
            s.u, s.delta, s.delta_bias, decay, packed, marks, local, product,
            length, 0, p.span, n, n_blocks,
            s.u.stride(0), s.delta.stride(0), _stride(marks, 0), **modes,
        )  # fmt: skip
        entering = _carry(local, product, entering, None, p.n_spans)
    final = decay.new_empty(batch, p.states, channels)
    forward.output_kernel[(n_blocks * p.n_spans * batch,)](
        s.u, s.delta, s.z, s.D, s.delta_bias, decay, packed, marks, entering, y, final,
        states if states.numel() else None,
        length, 0, p.chunk, p.span, p.n_spans, n_blocks,
        s.u.stride(0), s.delta.stride(0), _stride(s.z, 0), y.stride(0),
        _stride(marks, 0),
        **modes, Z_ROW=_stride(s.z, 1), Y_ROW=y.stride(1), WHOLE=length % STEPS == 0,
    )  # fmt: skip
    final_state.copy_(final[:, : s.A.shape[1]].transpose(1, 2))
    if s.reverse and s.resets is not None:
        final_state.masked_fill_(s.resets[:, 0, None, None], 0.0)


@dataclass
class _Gradients:
    """Where a segment of the backward writes; of A, D and delta_bias each chunk's share, in fp32.

    Sums of shares are taken once, in a fixed order: two runs agree to the bit.
    """

    u: Tensor
    delta: Tensor
    A: Tensor  # (B, chunks, N, D), padded
    B: Tensor
    C: Tensor
    D: Tensor | None  # (B, chunks, D)
    y: Tensor | None  # the output itself, once more
    z: Tensor | None
    delta_bias: Tensor | None  # (B, chunks, D)

    def rows(self, part: slice) -> "_Gradients":
        """Those of a part of the batch."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: x[part] for name, x in held.items() if x is not None})


def run_backward(
    p: Plan,
    s: Scan,
    states: Tensor,
    dy: Tensor,
    dfinal: Tensor | None,
    out: list[Tensor],
    y: Tensor | None = None,
) -> None:
    """Fill ``out``: gradients of u, delta, A, B, C, D, z, delta_bias and the initial state.

    Those of D, z and delta_bias are left alone where the scan has none. Those of u and delta may
    be ``s.u`` and ``s.delta`` themselves: a program reads a tile of each before it writes there.
    ``y``, of a scan with a gate, is filled with its output once more.
    """
    batch, _, channels = s.u.shape
    du, ddelta, dA, dB, dC, dD, dz, dbias, dinitial = out
    decay = _decay(s, p)
    grads = _Gradients(
        u=du,
        delta=ddelta,
        A=decay.new_empty(batch, p.n_chunks, p.states, channels),
        B=dB,
        C=dC,
        D=None if s.D is None else decay.new_empty(batch, p.n_chunks, channels),
        y=y,
        z=None if s.z is None else dz,
        delta_bias=None if s.delta_bias is None else decay.new_empty(batch, p.n_chunks, channels),
    )
    if dfinal is not None and s.reverse and s.resets is not None:
        dfinal = dfinal.masked_fill(s.resets[:, 0, None, None], 0.0)
    for rows, pieces in segments(p, batch, channels):
        part = s.rows(rows)
        packed = _pack(part, p)
        adjoint = _by_state(None if dfinal is None else dfinal[rows], p)
        for first, count in pieces:
            adjoint = _segment(
                p, part, grads.rows(rows), packed, decay, states[rows], dy[rows], adjoint,
                first, count,
            )  # fmt: skip
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
    p: Plan,
    s: Scan,
    grads: _Gradients,
    packed: Tensor,
    decay: Tensor,
    states: Tensor,
    dy: Tensor,
    adjoint: Tensor | None,
    first: int,
    count: int,
) -> Tensor:
    """Chunks ``first`` to ``first + count``; the adjoint that enters, to the one that leaves."""
    batch, length, channels = s.u.shape
    marks = _marks(s)
    sizes = {
        "Z_ROW": _stride(s.z, 1),
        "DY_ROW": dy.stride(1),
        "WHOLE": length % STEPS == 0,
    }
    batches = (
        s.u.stride(0), s.delta.stride(0), _stride(s.z, 0), dy.stride(0),
        _stride(marks, 0),
    )  # fmt: skip

    n_blocks = triton.cdiv(channels, p.block)
    borders = decay.new_empty(batch, count, p.chunk // STEPS, p.states, channels)
    local = decay.new_empty(batch, count, p.states, channels)
    product = torch.empty_like(local)
    backward.prepare_kernel[(n_blocks * count * batch,)](
        s.u, s.delta, s.z, s.D, s.delta_bias, decay, packed, marks, states, dy,
        grads.y, grads.z, borders, local, product, grads.D,
        length, 0, p.chunk, count, n_blocks, first, p.n_chunks,
        *batches, _stride(grads.y, 0), _stride(grads.z, 0),
        **s.modes(p, p.block, p.warps), **sizes,
        STEPS=STEPS, Y_ROW=_stride(grads.y, 1), DZ_ROW=_stride(grads.z, 1),
    )  # fmt: skip
    left = decay.new_empty(batch, p.states, channels)
    leaving = _carry(local, product, adjoint, left, count)
    del local, product  # the shares take their place

    n_blocks = triton.cdiv(channels, p.back_block)
    dbc = decay.new_empty(n_blocks, batch, count * p.chunk // STEPS, p.states, 2 * STEPS)
    backward.adjoint_kernel[(n_blocks * count * batch,)](
        s.u, s.delta, s.z, s.D, s.delta_bias, decay, packed, marks, leaving, dy, borders,
        grads.u, grads.delta, dbc, grads.A, grads.delta_bias,
        length, 0, p.chunk, count, n_blocks, first, p.n_chunks,
        *batches, grads.u.stride(0), grads.delta.stride(0), dbc.stride(0),
        **s.modes(p, p.back_block, p.back_warps), **sizes,
        DU_ROW=grads.u.stride(1), DDELTA_ROW=grads.delta.stride(1),
        # The interpreter knows no PTX.
        FOLDED=folds(p, channels) and not triton.knobs.runtime.interpret,
    )  # fmt: skip
    _unpack(dbc, grads.B, grads.C, first * p.chunk, s.reverse)
    return left


def _carry(
    local: Tensor, product: Tensor, first: Tensor | None, last: Tensor | None, n_out: int
) -> Tensor:
    """What enters each of ``n_out`` pieces; right to left if ``last`` takes what comes out."""
    batch, n_in, states, channels = local.shape
    width = states * channels
    carried = local.new_empty(batch, n_out, states, channels)
    block, links = 32, min(LINKS, triton.next_power_of_2(n_out))
    forward.carry_kernel[(triton.cdiv(width, block) * batch,)](
        local, product, first, carried, last, width, n_in, n_out,
        BACKWARD=last is not None, BLOCK=block, LINKS=links, num_warps=1,
    )  # fmt: skip
    return carried


def _pack(s: Scan, p: Plan) -> Tensor:
    batch, length, n_states = s.B.shape
    packed = s.B.new_empty(batch, length, 2, p.states, dtype=torch.float32)
    rows = max(1, 1024 // p.states)
    forward.pack_kernel[(triton.cdiv(batch * length, rows),)](
        s.B, s.C, packed, batch * length, length, n_states, *s.B.stride(), *s.C.stride(),
        N=p.states, ROWS=rows, num_warps=4,
    )  # fmt: skip
    return packed


def _unpack(shares: Tensor, dB: Tensor, dC: Tensor, start: int, reverse: bool) -> None:
    """Shares (blocks, B, tiles, N, 8) from scan position ``start`` on, summed, into (B, L, N)."""
    n_blocks, batch, n_tiles, states, _ = shares.shape
    tiles = max(1, 128 // states)
    backward.unpack_kernel[(triton.cdiv(batch * n_tiles, tiles),)](
        shares, dB, dC, dB.shape[1], start, n_tiles, batch * n_tiles, n_blocks, dB.shape[2],
        shares.stride(0), *dB.stride()[:2], *dC.stride()[:2],
        N=states, TILES=tiles, REVERSE=reverse, num_warps=4,
    )  # fmt: skip


def _decay(s: Scan, p: Plan) -> Tensor:
    """A log2(e), transposed and padded (N, D): exp(Δ A) is then exp2 of one product."""
    channels, n_states = s.A.shape
    new = s.A.new_empty if n_states == p.states else s.A.new_zeros
    decay = new(p.states, channels, dtype=torch.float32)
    torch.mul(s.A.t().float(), LOG2E, out=decay[:n_states])
    return decay


def _marks(s: Scan) -> Tensor | None:
    return None if s.resets is None else s.resets.contiguous().view(torch.uint8)


def _by_state(state: Tensor | None, p: Plan) -> Tensor | None:
    """(B, D, N) -> (B, N, D), padded."""
    if state is None:
        return None
    batch, channels, n_states = state.shape
    out = state.new_zeros(batch, p.states, channels, dtype=torch.float32)
    out[:, :n_states] = state.transpose(1, 2)
    return out


def _stride(tensor: Tensor | None, dimension: int) -> int:
    return 0 if tensor is None else tensor.stride(dimension)
