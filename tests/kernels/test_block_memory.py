"""What a block is said to keep is what its operator has room for, to the byte."""

import pytest
import torch
from torch import Tensor

from dnamamba_kernels import BlockShape, Direction, fused_block_memory
from dnamamba_kernels.block.fused.widths import widened
from dnamamba_kernels.block.layer import Layer

pytest.importorskip("triton")

from dnamamba_kernels.block.fused.forward import outputs


def layer_of(shape: BlockShape, dtype: torch.dtype) -> Layer:
    _, _, M, D, N, R, directions, _ = shape

    def room(*size: int, of: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(size, dtype=of, device="meta")

    one = Direction(
        room(D, 4), room(D), room(R + 2 * N, D, of=dtype), room(D, R, of=dtype), room(D),
        room(D, N), room(D),
    )  # fmt: skip
    into, out = room(2 * D, M, of=dtype), room(M, D, of=dtype)
    return Layer(room(M), into, (one,) * directions, out, None, None, None, None, 1e-5)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(
    ("rows", "length", "width", "channels", "states"),
    [
        (256, 1024, 256, 512, 16),
        (1, 1_048_576, 256, 512, 16),
        (32, 105, 128, 256, 16),
        (3, 333, 118, 236, 16),
        (2, 65, 36, 72, 3),
        (5, 7, 8, 16, 2),
    ],
)
def test_kept_to_the_byte(
    rows: int,
    length: int,
    width: int,
    channels: int,
    states: int,
    directions: int,
    recompute: bool,
) -> None:
    for dtype in (torch.bfloat16, torch.float32):
        rank = -(-width // 16)
        sizes = (rows, length, width, channels, states, rank, directions, dtype.itemsize)
        shape = BlockShape(*sizes)
        x = torch.empty(rows, length, width, dtype=dtype, device="meta")
        layer = widened(layer_of(shape, dtype))
        _, stream, _, _, *kept = outputs(x, layer, True, not recompute)
        expected = sum(tensor.nbytes for tensor in (stream, *kept))
        memory = fused_block_memory(shape, recompute)
        assert memory.kept == expected
        assert 0 < memory.forward < memory.backward + memory.kept
