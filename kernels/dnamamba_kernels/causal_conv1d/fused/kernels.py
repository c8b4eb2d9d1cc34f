"""The kernels of the fused convolution: bias, activation, state and resets in one pass each way.

A program owns a block of positions and channels, and loads its rows with a halo of W - 1: nothing
is carried along the sequence. The backward computes the activation's argument again instead of
keeping it. Positions are counted in scan order (``s``, ``q``).
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index, var-annotated"

import triton
import triton.language as tl

from dnamamba_kernels.fused_math import sigmoid

# Positions at a time, forward and backward: their loads are in flight together.
ROWS, BACK_ROWS = 16, 8
BLOCKS = 16  # of BACK_ROWS, per program of the backward: it sums the weight's gradient over them
BLOCK_D = 128
# Of a thread, where the backward would take more: 16 warps a multiprocessor hide more than 13. Of
# those for a state or a mark only the few programs spill that have one.
REGISTERS = 128


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
def is_plain(state, resets, s0, length, REVERSE: tl.constexpr, W: tl.constexpr, ROWS: tl.constexpr):
    """Whether neither the state nor a mark is within reach of ROWS positions from s0 on.

    ROWS is a power of two, and more than 2 W.
    """
    plain = s0 > 0 if state is not None else s0 >= 0
    if resets is not None:
        i = tl.arange(0, 2 * ROWS)
        near = cut_before(resets, s0 - W + i, length, REVERSE) & (i < ROWS + 2 * W)
        plain &= tl.max(near.to(tl.int32), 0) == 0
    return plain


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
def conv_kernel(
    x, weight, bias, state, resets, y, length, channels, n_blocks, n_rows,
    x_batch, y_batch, weight_channel, weight_tap, resets_batch,
    W: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, REVERSE: tl.constexpr,
    X_ROW: tl.constexpr, Y_ROW: tl.constexpr,
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
        outs += (out * sigmoid(out),)
    for i in tl.static_range(ROWS):
        t = length - 1 - (s0 + i) if REVERSE else s0 + i
        tl.store(y + t * Y_ROW, outs[i], mask=real & (s0 + i < length))


@triton.jit
def block_gradients(
    x, weights, shift, state, resets, dy, dx, dstate, dweights, dshift, s0, length, real,
    W: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, REVERSE: tl.constexpr,
    X_ROW: tl.constexpr, DY_ROW: tl.constexpr, DX_ROW: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """Fills dx of a block, and ``dstate``, if there is a state; adds to the others."""
    inputs, cuts, douts, gradients = (), (), (), ()
    for i in tl.static_range(1 - W, ROWS + W - 1):
        inputs += (input_row(x, state, s0 + i, i, length, real, X_ROW, W, REVERSE),)
        if resets is not None:
            cuts += (cut_before(resets, s0 + i, length, REVERSE),)
        if i >= 0:
            t = length - 1 - (s0 + i) if REVERSE else s0 + i
            inside = real & (s0 + i < length)
            douts += (tl.load(dy + t * DY_ROW, mask=inside, other=0.0).to(tl.float32),)
    for i in tl.static_range(ROWS + W - 1):  # the halo past the block sees into it
        taps = taps_of(inputs, cuts, i + W - 1, W)
        out = tl.zeros((BLOCK_D,), tl.float32) + shift
        for j in tl.static_range(W):
            out += weights[j] * taps[j]
        open_ = sigmoid(out)
        dout = douts[i] * (open_ * (1.0 + out * (1.0 - open_)))
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
                if ADD:
                    other = tl.load(dx + t * DX_ROW, mask=real & (q < length), other=0.0)
                    total += other.to(tl.float32)
                tl.store(dx + t * DX_ROW, total, mask=real & (q < length))
            else:
                tl.store(dstate + (q + W - 1), total, mask=real & (q < 0))
    return dweights, dshift


@triton.jit
def conv_backward_kernel(
    x, weight, bias, state, resets, dy, dx, dstate, dweight, length, channels, n_blocks, n_rows,
    x_batch, dy_batch, dx_batch, weight_channel, weight_tap, resets_batch,
    W: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, BLOCKS: tl.constexpr,
    REVERSE: tl.constexpr, X_ROW: tl.constexpr, DY_ROW: tl.constexpr, DX_ROW: tl.constexpr,
    ADD: tl.constexpr,
):  # fmt: skip
    """dx, and this program's share of the gradients of weight (nearest tap first) and bias.

    With ``ADD`` dx is added to what stands there.
    """
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
    plain = is_plain(state, resets, start, length, REVERSE, W, ROWS * BLOCKS)
    for s0 in range(start, tl.minimum(start + ROWS * BLOCKS, length), ROWS):
        if (state is None and resets is None) or plain:
            dweights, dshift = block_gradients(
                x, weights, shift, None, None, dy, dx, None, dweights, dshift,
                s0, length, real, W, BLOCK_D, ROWS, REVERSE, X_ROW, DY_ROW, DX_ROW, ADD,
            )  # fmt: skip
        else:
            dweights, dshift = block_gradients(
                x, weights, shift, state, resets, dy, dx, dstate, dweights, dshift,
                s0, length, real, W, BLOCK_D, ROWS, REVERSE, X_ROW, DY_ROW, DX_ROW, ADD,
            )  # fmt: skip
    share = dweight + (batch * n_rows + part) * (W + 1) * channels + d
    for j in tl.static_range(W):
        tl.store(share + j * channels, dweights[j], mask=real)
    tl.store(share + W * channels, dshift, mask=real)
