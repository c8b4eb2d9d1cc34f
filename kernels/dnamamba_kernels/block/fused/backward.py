"""The backward of a fused block: what nobody kept it computes again."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.add_rms_norm import fused as norm
from dnamamba_kernels.add_rms_norm.norm import Sums
from dnamamba_kernels.block.fused.ends import Behind, Ends
from dnamamba_kernels.block.fused.padding import fill_padding
from dnamamba_kernels.block.fused.parts import Inside, Kept, add_and_norm, inputs_of
from dnamamba_kernels.block.layer import Direction, Layer, flat
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.fused import launch as conv
from dnamamba_kernels.selective_scan.fused import launch as scan

__all__ = ["backward", "gradients"]


def gradients(layer: Layer, kept: Kept, dtype: torch.dtype, has_residual: bool) -> list[Tensor]:
    """Room for those of every input from x, of ``dtype``, to ssm_state; empty where absent."""
    stream = kept.stream
    dx = stream.new_empty(stream.shape, dtype=dtype)
    dresidual = stream.new_empty(stream.shape if has_residual else (0,))
    others = flat(layer[: Layer._fields.index("resets")])
    return [
        dx,
        dresidual,
        *(stream.new_empty(0) if x is None else torch.empty_like(x) for x in others),
    ]


class _Gate(NamedTuple):
    """What all scans share: the gate, and what the last of them writes from the sum before it."""

    z: Tensor
    dy: Tensor
    dz: Tensor
    y: Tensor | None  # the gated sum once more, if anybody asks for it; until then the sum


class _Swept(NamedTuple):
    """A direction between the backward of its scan and that of its convolution."""

    du: Tensor
    dselected: Tensor
    gradient: Direction  # filled as far as the scan goes
    dstate: Tensor  # of ssm_state


def backward(
    dbranch: Tensor | None,
    dstream: Tensor | None,
    ends: Ends,
    kept: Kept,
    dtype: torch.dtype,
    has_residual: bool,
) -> list[Tensor]:
    """``gradients``, filled, from those of branch and stream, and what comes in at the ends."""
    layer = ends.layer
    if not kept.stream.numel():
        return [x.zero_() for x in gradients(layer, kept, dtype, has_residual)]
    # Memory is at its peak during the scans. So what only the projections want comes after them, if
    # need be once more, and gradients take the place of what they are gradients of where it can
    # be had again: a program reads a tile of both before it writes there.
    swept, both, dout = _through_scans(ends, kept, dbranch)
    h, directions, dconv_state = _through_convolutions(ends, kept, swept, both)
    dssm = swept[0].dstate
    del swept
    din_weight, dh = _product(both, h), both @ layer.in_weight
    del both
    sums = Sums(kept.stream, h.new_empty(0), layer.norm_weight, layer.eps, dtype, has_residual)
    dx, dresidual, dnorm = norm.backward(sums, dh[..., : kept.stream.shape[2]], dstream)
    return [
        dx, dresidual, dnorm, din_weight, *flat(directions), dout, dconv_state, dssm
    ]  # fmt: skip


def _through_scans(
    ends: Ends, kept: Kept, dbranch: Tensor | None
) -> tuple[list[_Swept], Tensor, Tensor]:
    """From the branch to what leaves the convolutions.

    Gives room for the gradients of i and z side by side, of which z's is filled, and the gradient
    of out_weight.
    """
    layer = ends.layer
    z, every = _scanned(ends, kept)
    # The gradients of i and z side by side, for one product of both with h and one with in_weight.
    # Until y has served its own product it stands where that of i will.
    both = z.new_empty(*z.shape[:2], 2 * z.shape[2])
    di, dz = both.chunk(2, -1)
    if dbranch is None:
        gate = _Gate(z, torch.zeros_like(z), dz, None)
    else:
        missing = layer.out_weight.shape[0] - dbranch.shape[2]
        dbranch = F.pad(dbranch, (0, missing)) if missing else dbranch
        gate = _Gate(z, dbranch @ layer.out_weight, dz, di)
        fill_padding(gate.dy, layer.lengths, 0.0)
    in_place, behind = not kept.h.numel(), ends.behind(every, z, gate.dy)
    swept = [
        _through_scan(ends, k, inside, gate, behind.pop(0), in_place)
        for k, inside in enumerate(every)
    ]
    del z, gate, every
    if dbranch is None:
        return swept, both, torch.zeros_like(layer.out_weight)
    fill_padding(di, layer.lengths, 0.0)
    return swept, both, _product(dbranch, di)


def _through_scan(
    ends: Ends, k: int, inside: Inside, gate: _Gate, behind: Behind, in_place: bool
) -> _Swept:
    """The k-th of them, which adds to what the one before left in ``gate``."""
    side, last, (states, u, selected) = ends.sides[k], k == len(ends.sides) - 1, inside
    dselected = torch.empty_like(selected)
    direction = side.direction
    (s, *_), (ds, dB, dC) = direction.select(selected), direction.select(dselected)
    ddelta = delta = side.delta(selected) if behind.delta is None else behind.delta
    du = u if in_place else torch.empty_like(u)
    values = side.scan(u, delta, selected, gate.z)
    dz = gate.dz if last else u.new_empty(0)
    out = values.gradients(side.ssm_state is not None, u=du, delta=ddelta, B=dB, C=dC, z=dz)
    add = k > 0 and gate.y is not None
    scan.run_backward(values, states, gate.dy, behind.dfinal, out, gate.y, add)
    torch.mm(ddelta.flatten(0, 1), direction.dt_weight, out=ds.flatten(0, 1))
    ddt_weight = _product(ddelta, s)
    du.flatten(0, 1).addmm_(dselected.flatten(0, 1), direction.x_weight)
    _, _, dA, _, _, dD, _, dbias, dstate = out
    gradient = direction._replace(dt_weight=ddt_weight, dt_bias=dbias, A=dA, D=dD)
    return _Swept(du, dselected, gradient, dstate)


def _scanned(ends: Ends, kept: Kept) -> tuple[Tensor, list[Inside]]:
    """z, and of each direction u and ``selected``; kept or made again."""
    layer, to_z = ends.layer, ends.layer.in_weight.chunk(2)[1]
    if kept.h.numel():
        return F.linear(kept.h, to_z), list(kept.inside)
    h = add_and_norm(kept.stream, None, layer, None)
    i, every = inputs_of(layer, h), []
    for side, inside in zip(ends.sides, kept.inside, strict=True):
        u = conv.convolve(side.convolution(i))
        every.append(Inside(inside.states, u, side.select(u)))
    return F.linear(h, to_z), every


def _through_convolutions(
    ends: Ends, kept: Kept, swept: list[_Swept], both: Tensor
) -> tuple[Tensor, tuple[Direction, ...], Tensor]:
    """On to what enters the convolutions: fills the first half of ``both``.

    Gives h, the gradients of each direction and that of conv_state.
    """
    layer = ends.layer
    h = kept.h if kept.h.numel() else add_and_norm(kept.stream, None, layer, None)
    i, di, results = inputs_of(layer, h), both.chunk(2, -1)[0], []
    convolved: list[tuple[Convolution, Tensor]] = []
    for k, side in enumerate(ends.sides):
        du, dselected, gradient, _ = swept[k]
        values = side.convolution(i)
        u = kept.inside[k].u if kept.h.numel() else conv.convolve(values)
        dx_weight = _product(dselected, u)
        del u
        out = values.gradients(di)
        _, dweight, dbias, dstate = conv.run_backward(values, du, None, out, add=bool(k))
        results.append(gradient._replace(conv_weight=dweight, conv_bias=dbias, x_weight=dx_weight))
        convolved.append((values, dstate))
    dconv_state = ends.before(convolved, di)
    fill_padding(di, layer.lengths, 0.0)
    return h, tuple(results), dconv_state


def _product(dy: Tensor, x: Tensor) -> Tensor:
    """The gradient of the matrix that made y of x, summed over batch and positions."""
    return dy.flatten(0, 1).t() @ x.flatten(0, 1)
