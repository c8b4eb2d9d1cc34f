"""The fused residual add and RMSNorm: each row is read once and stays in registers."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dnamamba_kernels.add_rms_norm.eager import add_rms_norm_eager
from dnamamba_kernels.dense import dense

__all__ = ["add_rms_norm_fused"]


@triton.jit
def norm_kernel(
    x, residual, weight, y, total, n_rows, width, x_row, residual_row, eps,
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
    tl.store(y + row * width + column, r * scale * w, mask=real)


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


def add_rms_norm_fused(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    if x.dtype == torch.float64:  # the kernels accumulate in fp32
        return add_rms_norm_eager(x, residual, weight, eps, dtype)
    return _forward(x, residual, weight, eps, dtype)


@torch.library.custom_op("dnamamba::add_rms_norm", mutates_args=())
def _forward(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    y, total = x.new_empty(x.shape, dtype=dtype), x.new_empty(x.shape, dtype=torch.float32)
    run_forward(x, residual, weight, eps, y, total)
    return y, total


def run_forward(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    eps: float,
    y: Tensor,
    total: Tensor | None,
) -> None:
    """Fill ``y`` and, unless it is None, ``total``."""
    if not x.numel():
        return
    rows, width = _rows(x), x.shape[-1]
    before = None if residual is None else _rows(residual)
    block, tile, warps = _tile(width, 16)
    norm_kernel[(triton.cdiv(len(rows), tile),)](
        rows, before, weight.contiguous(), y, total, len(rows), width,
        rows.stride(0), 0 if before is None else before.stride(0), eps,
        ROWS=tile, BLOCK=block, num_warps=warps,
    )  # fmt: skip


@torch.library.custom_op("dnamamba::add_rms_norm_backward", mutates_args=())
def _backward(
    total: Tensor,
    weight: Tensor,
    dy: Tensor | None,
    dtotal: Tensor | None,
    eps: float,
    dtype: torch.dtype,
    has_residual: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, residual (empty if there is none) and weight."""
    dx, dresidual, dweight = out = _empty_gradients(total, weight, dtype, has_residual)
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
        rows, weight.contiguous(), dy, dtotal, dx, dresidual if has_residual else None, shares,
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


def _empty_gradients(
    total: Tensor, weight: Tensor, dtype: torch.dtype, has_residual: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        total.new_empty(total.shape, dtype=dtype),
        total.new_empty(total.shape if has_residual else (0,)),
        weight.new_empty(weight.shape),
    )


@_forward.register_fake
def _(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape, dtype=dtype), x.new_empty(x.shape, dtype=torch.float32)


@_backward.register_fake
def _(
    total: Tensor,
    weight: Tensor,
    dy: Tensor | None,
    dtotal: Tensor | None,
    eps: float,
    dtype: torch.dtype,
    has_residual: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_gradients(total, weight, dtype, has_residual)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, residual, weight, eps, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], weight)
    ctx.modes = eps, x.dtype, residual is not None


def _differentiate(
    ctx: Any, dy: Tensor | None, dtotal: Tensor | None
) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
    if dy is None and dtotal is None:
        return None, None, None, None, None
    dx, dresidual, dweight = _backward(*ctx.saved_tensors, dy, dtotal, *ctx.modes)
    return dx, dresidual if ctx.modes[2] else None, dweight, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
