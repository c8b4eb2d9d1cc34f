"""The fused residual add and RMSNorm: each row is read once and stays in registers."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

import torch
import triton
import triton.language as tl
from torch import Tensor

from dnamamba_kernels.add_rms_norm.norm import Norm, Sums
from dnamamba_kernels.dense import dense

__all__ = ["backward", "forward", "outputs", "run_forward"]


@triton.jit
def norm_kernel(
    x, residual, weight, y, total, n_rows, width, x_row, residual_row, y_row, eps,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, BLOCK)[None, :]
    real = (row < n_rows) & (column < width)
    w = tl.load(weight + column, mask=column < width, other=0.0).to(tl.float32)
    r = tl.load(x + row * x_row + column, mask=real, other=0.0).to(tl.float32)
    if residual is not None:
        r += tl.load(residual + row * residual_row + column, mask=real, other=0.0)
    scale = tl.rsqrt(tl.sum(r * r, 1) / width + eps)[:, None]
    if total is not None:
        tl.store(total + row * width + column, r, mask=real)
    # Rows of y may be wider than what is normalised: the rest is zero.
    tl.store(y + row * y_row + column, r * scale * w, mask=(row < n_rows) & (column < y_row))


@triton.jit
def norm_backward_kernel(
    total, weight, dy, dtotal, dx, dresidual, dweight, n_rows, width, dy_row, dtotal_row, eps,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """dx and dresidual, and this program's share of the weight's gradient."""
    part = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)[None, :]
    w = tl.load(weight + column, mask=column < width, other=0.0).to(tl.float32)
    dw = tl.zeros((1, BLOCK), tl.float32)
    for tile in range(TILES):
        row = (part * TILES + tile) * ROWS + tl.arange(0, ROWS)[:, None]
        real = (row < n_rows) & (column < width)
        r = tl.load(total + row * width + column, mask=real, other=0.0)
        scale = tl.rsqrt(tl.sum(r * r, 1) / width + eps)[:, None]
        unit = r * scale
        gradient = tl.zeros((ROWS, BLOCK), tl.float32)
        if dy is not None:
            dout = tl.load(dy + row * dy_row + column, mask=real, other=0.0).to(tl.float32)
            dw += tl.sum(dout * unit, 0)[None, :]
            dout *= w
            gradient = scale * (dout - unit * (tl.sum(dout * unit, 1) / width)[:, None])
        if dtotal is not None:
            gradient += tl.load(dtotal + row * dtotal_row + column, mask=real, other=0.0)
        tl.store(dx + row * width + column, gradient, mask=real)
        if dresidual is not None:
            tl.store(dresidual + row * width + column, gradient, mask=real)
    tl.store(dweight + part * width + column, dw, mask=column < width)


def outputs(norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    """Room for y and the sum; nothing for the scale, which the backward computes again."""
    x = norm.x
    return (
        x.new_empty(x.shape, dtype=norm.dtype),
        x.new_empty(x.shape, dtype=torch.float32),
        x.new_empty(0, dtype=torch.float32),
    )


def forward(norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    """``outputs``, filled."""
    y, total, none = outputs(norm)
    run_forward(norm, y, total)
    return y, total, none


def run_forward(norm: Norm, y: Tensor, total: Tensor | None) -> None:
    """Fill ``y`` and, unless it is None, ``total``.

    Rows of y lie one after the other; they may be longer than those of x, and end in zeros then.
    """
    x, residual, weight, eps, _ = norm
    if not x.numel():
        return
    rows, width = _rows(x), x.shape[-1]
    before = None if residual is None else _rows(residual)
    block, tile, warps = _tile(y.shape[-1], 16)
    norm_kernel[(triton.cdiv(len(rows), tile),)](
        rows, before, weight.contiguous(), y, total, len(rows), width,
        rows.stride(0), 0 if before is None else before.stride(0), y.shape[-1], eps,
        ROWS=tile, BLOCK=block, num_warps=warps,
    )  # fmt: skip


def backward(sums: Sums, dy: Tensor | None, dtotal: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, residual (empty unless apart) and weight."""
    total, _, weight, eps, _, apart = sums
    dx, dresidual, dweight = out = sums.gradients()
    if not total.numel():
        dweight.zero_()
        return out
    rows, width = total.view(-1, total.shape[-1]), total.shape[-1]
    block, tile, warps = _tile(width, 32)
    # About 8 programs per multiprocessor of a large card; a share of the weight's gradient each.
    tiles = max(1, 1 << (triton.cdiv(len(rows), tile * 1056) - 1).bit_length())
    programs = triton.cdiv(len(rows), tile * tiles)
    shares = total.new_empty(programs, width)
    dy = None if dy is None else _rows(dy)
    dtotal = None if dtotal is None else _rows(dtotal)
    norm_backward_kernel[(programs,)](
        rows, weight.contiguous(), dy, dtotal, dx, dresidual if apart else None, shares,
        len(rows), width, 0 if dy is None else dy.stride(0),
        0 if dtotal is None else dtotal.stride(0), eps,
        ROWS=tile, BLOCK=block, TILES=tiles, num_warps=warps,
    )  # fmt: skip
    dweight.copy_(shares.sum(0))
    return out


def _rows(x: Tensor) -> Tensor:
    """(..., D) as (rows, D), the last dimension dense; without a copy where strides allow."""
    return dense(x).reshape(-1, x.shape[-1])


def _tile(width: int, elements: int) -> tuple[int, int, int]:
    """Columns of a tile (all, padded), its rows, and warps: so many elements a thread, or more."""
    block = triton.next_power_of_2(width)
    rows = max(1, 64 * elements // block)
    return block, rows, min(16, max(1, block * rows // (32 * elements)))
