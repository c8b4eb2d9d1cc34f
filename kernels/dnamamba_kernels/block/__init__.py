"""A whole Mamba layer as one op."""

from dnamamba_kernels.block.op import fuses_block, mamba_block

__all__ = ["fuses_block", "mamba_block"]
