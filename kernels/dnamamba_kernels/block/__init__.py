"""A whole Mamba layer as one op: of one direction, or of two."""

from dnamamba_kernels.block.bidirectional import bidirectional_block
from dnamamba_kernels.block.causal import fuses_block, mamba_block
from dnamamba_kernels.block.layer import Direction

__all__ = ["Direction", "bidirectional_block", "fuses_block", "mamba_block"]
