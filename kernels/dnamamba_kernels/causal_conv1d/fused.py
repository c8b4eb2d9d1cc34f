"""The fused convolution: bias, activation, state and resets in one pass each way.

A program owns a block of positions and channels, and loads its rows with a halo of W - 1: nothing
is carried along the sequence. The backward computes the activation's argument again instead of
keeping it. Positions are counted in scan order (``s``, ``q``).
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index, var-annotated"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dnamamba_kernels.causal_conv1d.eager import causal_conv1d_eager
from dnamamba_kernels.dense import dense
from dnamamba_kernels.fused_math import sigmoid

__all__ = ["causal_conv1d_fused"]

ROWS = 8  # positions at a time; their loads are in flight together
BLOCKS = 8  # blocks of ROWS per program of the backward, which sums the weight's gradient over them
BLOCK_D = 128


@triton.jit
def input_row(x, state, q, i: tl.constexpr, length, real, X_ROW: tl.constexpr, W: tl.constexpr,
              REVERSE: tl.constexpr):  # fmt: skip
    """The input at scan position q, row i of its block: the state's before 0, zero past the end."""
    t = length - 1 - q if REVERSE else q
    row = tl.load(x + t * X_ROW, mask=real & (q >= 0) & (q < length), other=0.0).to(tl.float32)
    if state is not None and i < 0:  # only a block's halo reaches before 0
        before = real & (q < 0) & (q > -W)
        row += tl.load(state + (q + W - 1), mask=before, other=0.0).to(tl.float32)
    return row


@triton.jit
def cut_before(resets, q, length, REVERSE: tl.constexpr):
    """Whether a mark lies between scan positions q - 1 and q."""
    mark = length - q if REVERSE else q
    return tl.load(resets + mark, mask=(q >= 0) & (mark >= 0) & (mark < length), other=0) != 0


@triton.jit
def taps_of(inputs, cuts, r: tl.constexpr, W: tl.constexpr):
    """The W inputs that the row at index r sees, nearest first; zero across a mark."""
    taps = (inputs[r],)
    lost = False
    for j in tl.static_range(1, W):
        row = inputs[r - j]
        if len(cuts) > 0:
            lost = lost | cuts[r - j + 1]
            row = tl.where(lost, 0.0, row)
        taps += (row,)
    return taps


@triton.jit
def forward_kernel(
    x, weight, bias, state, resets, y, length, channels, n_blocks, n_rows,
    x_batch, y_batch, weight_channel, weight_tap, resets_batch,
    W: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, SILU: tl.constexpr,
    REVERSE: tl.constexpr, X_ROW: tl.constexpr, Y_ROW: tl.constexpr,
):  # fmt: skip
    pid = tl.program_id(0).to(tl.int64)
    d = (pid % n_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    s0 = pid // n_blocks % n_rows * ROWS
    batch = pid // n_blocks // n_rows
    real = d < channels
    x += batch * x_batch + d
    y += batch * y_batch + d
    if state is not None:
        state += (batch * channels + d) * (W - 1)
    if resets is not None:
        resets += batch * resets_batch
    shift = tl.load(bias + d, mask=real, other=0.0).to(tl.float32) if bias is not None else 0.0
    inputs, cuts, weights, outs = (), (), (), ()
    for j in tl.static_range(W):  # nearest first
        tap = weight + d * weight_channel + (W - 1 - j) * weight_tap
        weights += (tl.load(tap, mask=real, other=0.0).to(tl.float32),)
    for i in tl.static_range(1 - W, ROWS):
        inputs += (input_row(x, state, s0 + i, i, length, real, X_ROW, W, REVERSE),)
        if resets is not None:
            cuts += (cut_before(resets, s0 + i, length, REVERSE),)
    for i in tl.static_range(ROWS):
        taps = taps_of(inputs, cuts, i + W - 1, W)
        out = tl.zeros((BLOCK_D,), tl.float32) + shift
        for j in tl.static_range(W):
            out += weights[j] * taps[j]
        if SILU:
            out *= sigmoid(out)
        outs += (out,)
    for i in tl.static_range(ROWS):
        t = length - 1 - (s0 + i) if REVERSE else s0 + i
        tl.store(y + t * Y_ROW, outs[i], mask=real & (s0 + i < length))


@triton.jit
def backward_kernel(
    x, weight, bias, state, resets, dy, dx, dstate, dweight, length, channels, n_blocks, n_rows,
    x_batch, dy_batch, dx_batch, weight_channel, weight_tap, resets_batch,
    W: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, BLOCKS: tl.constexpr,
    SILU: tl.constexpr, REVERSE: tl.constexpr,
    X_ROW: tl.constexpr, DY_ROW: tl.constexpr, DX_ROW: tl.constexpr,
):  # fmt: skip
    """dx, and this program's share of the gradients of weight (nearest tap first) and bias."""
    pid = tl.program_id(0).to(tl.int64)
    d = (pid % n_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    part = pid // n_blocks % n_rows
    batch = pid // n_blocks // n_rows
    real = d < channels
    x += batch * x_batch + d
    dy += batch * dy_batch + d
    dx += batch * dx_batch + d
    if state is not None:
        state += (batch * channels + d) * (W - 1)
        dstate += (batch * channels + d) * (W - 1)
    if resets is not None:
        resets += batch * resets_batch
    shift = tl.load(bias + d, mask=real, other=0.0).to(tl.float32) if bias is not None else 0.0
    weights, dweights = (), ()
    for j in tl.static_range(W):
        tap = weight + d * weight_channel + (W - 1 - j) * weight_tap
        weights += (tl.load(tap, mask=real, other=0.0).to(tl.float32),)
        dweights += (tl.zeros((BLOCK_D,), tl.float32),)
    dshift = tl.zeros((BLOCK_D,), tl.float32)
    start = part * (ROWS * BLOCKS)
    for s0 in range(start, tl.minimum(start + ROWS * BLOCKS, length), ROWS):
        inputs, cuts, douts, gradients = (), (), (), ()
        for i in tl.static_range(1 - W, ROWS + W - 1):
            inputs += (input_row(x, state, s0 + i, i, length, real, X_ROW, W, REVERSE),)
            if resets is not None:
                cuts += (cut_before(resets, s0 + i, length, REVERSE),)
            if i >= 0:
                t = length - 1 - (s0 + i) if REVERSE else s0 + i
                here = real & (s0 + i < length)
                douts += (tl.load(dy + t * DY_ROW, mask=here, other=0.0).to(tl.float32),)
        for i in tl.static_range(ROWS + W - 1):  # the halo past the block sees into it
            taps = taps_of(inputs, cuts, i + W - 1, W)
            dout = douts[i]
            if SILU:
                out = tl.zeros((BLOCK_D,), tl.float32) + shift
                for j in tl.static_range(W):
                    out += weights[j] * taps[j]
                open_ = sigmoid(out)
                dout *= open_ * (1.0 + out * (1.0 - open_))
            gradients += (dout,)
            if i < ROWS:
                dshift += dout
                summed = ()
                for j in tl.static_range(W):
                    summed += (dweights[j] + dout * taps[j],)
                dweights = summed
        for i in tl.static_range(1 - W, ROWS):
            if i >= 0 or state is not None:
                total = tl.zeros((BLOCK_D,), tl.float32)
                lost = False
                for j in tl.static_range(W):
                    if i + j >= 0:
                        dout = gradients[i + j]
                        if resets is not None:
                            if j > 0:
                                lost = lost | cuts[i + j + W - 1]
                            dout = tl.where(lost, 0.0, dout)
                        total += weights[j] * dout
                q = s0 + i
                if i >= 0:
                    t = length - 1 - q if REVERSE else q
                    tl.store(dx + t * DX_ROW, total, mask=real & (q < length))
                else:
                    tl.store(dstate + (q + W - 1), total, mask=real & (q < 0))
    share = dweight + (batch * n_rows + part) * (W + 1) * channels + d
    for j in tl.static_range(W):
        tl.store(share + j * channels, dweights[j], mask=real)
    tl.store(share + W * channels, dshift, mask=real)


def causal_conv1d_fused(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: str | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    if x.dtype == torch.float64:  # the kernels accumulate in fp32
        return causal_conv1d_eager(x, weight, bias, activation, initial_state, resets, reverse)
    y = _forward(x, weight, bias, initial_state, resets, activation == "silu", reverse)
    return y, _final_state(x, weight.shape[1] - 1, initial_state, resets, reverse)


def _final_state(
    x: Tensor, taps: int, initial_state: Tensor | None, resets: Tensor | None, reverse: bool
) -> Tensor:
    """The last inputs in scan order (B, D, W-1): a handful, so PyTorch takes and differentiates."""
    batch, length, channels = x.shape
    seen = min(taps, length)
    state = x[:, :seen].flip(1) if reverse else x[:, length - seen :]
    if resets is not None:
        state = torch.where(_crossed(resets, seen, reverse), 0.0, state)
    if seen < taps:
        carried = x.new_zeros(batch, taps - seen, channels)
        if initial_state is not None:
            carried = initial_state[:, :, seen:].transpose(1, 2)
            if resets is not None:
                carried = torch.where(resets.any(1)[:, None, None], 0.0, carried)
        state = torch.cat([carried, state], 1)
    return state.transpose(1, 2).contiguous()


def _crossed(resets: Tensor, seen: int, reverse: bool) -> Tensor:
    """(B, seen, 1): which of the last inputs, oldest first, a mark parts from the scan's end."""
    # In reverse a mark at 0 lies before the end too.
    marks = (resets[:, :seen] if reverse else resets[:, resets.shape[1] - seen :].flip(1)).long()
    crossed = marks.cumsum(1) if reverse else marks.cumsum(1) - marks
    return crossed.flip(1)[:, :, None] > 0


def add_through_final_state(
    dfinal: Tensor, resets: Tensor | None, dx: Tensor, dstate: Tensor | None
) -> None:
    """Add to dx (B, L, D) and dstate (B, D, W-1) what comes through a forward scan's last inputs.

    ``_final_state`` differentiated by hand, for where autograd does not reach.
    """
    taps, length = dfinal.shape[2], dx.shape[1]
    seen = min(taps, length)
    inside = dfinal[:, :, taps - seen :].transpose(1, 2)
    if resets is not None:
        inside = inside.masked_fill(_crossed(resets, seen, False), 0.0)
    dx[:, length - seen :] += inside
    if dstate is not None and seen < taps:
        carried = dfinal[:, :, : taps - seen]
        if resets is not None:
            carried = carried.masked_fill(resets.any(1)[:, None, None], 0.0)
        dstate[:, :, seen:] += carried


@torch.library.custom_op("dnamamba::causal_conv1d", mutates_args=())
def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
) -> Tensor:
    y = x.new_empty(x.shape)
    batch, length, channels = x.shape
    if not x.numel():
        return y
    x, marks = dense(x), None if resets is None else resets.contiguous().view(torch.uint8)
    n_blocks, n_rows = triton.cdiv(channels, BLOCK_D), triton.cdiv(length, ROWS)
    forward_kernel[(n_blocks * n_rows * batch,)](
        x, weight, bias, None if initial_state is None else initial_state.contiguous(), marks, y,
        length, channels, n_blocks, n_rows, x.stride(0), y.stride(0), *weight.stride(),
        0 if marks is None else marks.stride(0),
        W=weight.shape[1], BLOCK_D=BLOCK_D, ROWS=ROWS, SILU=silu, REVERSE=reverse,
        X_ROW=x.stride(1), Y_ROW=y.stride(1), num_warps=1,
    )  # fmt: skip
    return y


@torch.library.custom_op("dnamamba::causal_conv1d_backward", mutates_args=())
def _backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
) -> list[Tensor]:
    """Gradients of x, weight, bias and initial_state; empty where absent."""
    dx = x.new_empty(x.shape)
    return [dx, *run_backward(dy, x, weight, bias, initial_state, resets, silu, reverse, dx)]


def run_backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    silu: bool,
    reverse: bool,
    dx: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Fill ``dx``; the gradients of weight, bias and initial_state, empty where absent."""
    batch, length, channels = x.shape
    W = weight.shape[1]
    dweight, dbias, dstate = out = _empty_gradients(weight, bias, initial_state)
    if not x.numel():
        for gradient in (dx, *out):
            gradient.zero_()
        return dweight, dbias, dstate
    dy, x = dense(dy), dense(x)
    marks = None if resets is None else resets.contiguous().view(torch.uint8)
    n_blocks, n_rows = triton.cdiv(channels, BLOCK_D), triton.cdiv(length, ROWS * BLOCKS)
    shares = x.new_empty(batch * n_rows, W + 1, channels, dtype=torch.float32)
    backward_kernel[(n_blocks * n_rows * batch,)](
        x, weight, bias, None if initial_state is None else initial_state.contiguous(), marks,
        dy, dx, None if initial_state is None else dstate, shares,
        length, channels, n_blocks, n_rows, x.stride(0), dy.stride(0), dx.stride(0),
        *weight.stride(), 0 if marks is None else marks.stride(0),
        W=W, BLOCK_D=BLOCK_D, ROWS=ROWS, BLOCKS=BLOCKS, SILU=silu, REVERSE=reverse,
        X_ROW=x.stride(1), DY_ROW=dy.stride(1), DX_ROW=dx.stride(1), num_warps=1,
    )  # fmt: skip
    total = shares.sum(0)
    dweight.copy_(total[:W].flip(0).t())
    if bias is not None:
        dbias.copy_(total[W])
    return dweight, dbias, dstate


@_forward.register_fake
def _(x: Tensor, *others: Tensor | bool | None) -> Tensor:
    return x.new_empty(x.shape)


@_backward.register_fake
def _(
    dy: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None,
    *others: Tensor | bool | None,
) -> list[Tensor]:  # fmt: skip
    return _empty_gradients(x, weight, bias, initial_state)


def _empty_gradients(x: Tensor, *others: Tensor | None) -> list[Tensor]:
    return [x.new_empty(0) if y is None else y.new_empty(y.shape) for y in (x, *others)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, silu, reverse = inputs
    ctx.save_for_backward(*tensors)
    ctx.modes = silu, reverse


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    found = _backward(dy, *saved, *ctx.modes)
    present = zip(found, saved[:4], strict=True)
    return (*(gradient if x is not None else None for gradient, x in present), None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
