"""A whole Mamba layer as one op: of one direction, or of two."""

from dnamamba_kernels.block.bidirectional import bidirectional_block
from dnamamba_kernels.block.causal import fuses_block, mamba_block
from dnamamba_kernels.block.layer import Direction
from dnamamba_kernels.block.memory import (
    BlockMemory,
    BlockShape,
    fused_block_memory,
    memory_by_ops,
)

__all__ = [
    "BlockMemory",
    "BlockShape",
    "Direction",
    "bidirectional_block",
    "fused_block_memory",
    "fuses_block",
    "mamba_block",
    "memory_by_ops",
]
