"""Padding in a fused block: rows of a tensor overwritten from each row's length on."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["fill_padding"]

ROWS, TILES, COLUMNS = 8, 8, 128


@triton.jit
def fill_kernel(
    x, lengths, value, length, width, n_blocks, x_batch,
    X_ROW: tl.constexpr, ROWS: tl.constexpr, TILES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A program owns ROWS * TILES positions, of which it does nothing for those that are real."""
    pid = tl.program_id(0).to(tl.int64)
    batch, start = pid // n_blocks, pid % n_blocks * (ROWS * TILES)
    first = tl.load(lengths + batch)
    end = tl.minimum(start + ROWS * TILES, length)
    x += batch * x_batch
    row = tl.full((ROWS, COLUMNS), value, tl.float32)
    for t0 in range(tl.maximum(start, first // ROWS * ROWS), end, ROWS):
        t = t0 + tl.arange(0, ROWS)[:, None]
        inside = (t >= first) & (t < length)
        for d0 in range(0, width, COLUMNS):
            d = d0 + tl.arange(0, COLUMNS)[None, :]
            tl.store(x + t * X_ROW + d, row, mask=inside & (d < width))


def fill_padding(x: Tensor, lengths: Tensor | None, value: float) -> None:
    """Write ``value`` into x (B, L, D), dense along D, from each row's length on."""
    if lengths is None or not x.numel():
        return
    batch, length, width = x.shape
    n_blocks = triton.cdiv(length, ROWS * TILES)
    fill_kernel[(batch * n_blocks,)](
        x, lengths.contiguous(), value, length, width, n_blocks, x.stride(0),
        X_ROW=x.stride(1), ROWS=ROWS, TILES=TILES, COLUMNS=COLUMNS, num_warps=4,
    )  # fmt: skip
