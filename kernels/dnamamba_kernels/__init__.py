"""The ops a Mamba-1 is made of, for CPU and GPU, with state in and out.

Each folder is one op: the plain recurrence (``reference``), PyTorch (``chunked`` or ``eager``),
Triton (``fused``) and, where decoding needs it, one position at a time (``step``). ``pieces`` has
the ops over one sequence that several processes share.
"""

from dnamamba_kernels.add_rms_norm import add_rms_norm
from dnamamba_kernels.block import (
    BlockMemory,
    BlockShape,
    Direction,
    bidirectional_block,
    fused_block_memory,
    fuses_block,
    mamba_block,
    memory_by_ops,
)
from dnamamba_kernels.causal_conv1d import (
    causal_conv1d,
    causal_conv1d_step,
    causal_conv1d_tail,
)
from dnamamba_kernels.selective_scan import selective_scan, selective_scan_step

__all__ = [
    "BlockMemory",
    "BlockShape",
    "Direction",
    "add_rms_norm",
    "bidirectional_block",
    "causal_conv1d",
    "causal_conv1d_step",
    "causal_conv1d_tail",
    "fused_block_memory",
    "fuses_block",
    "mamba_block",
    "memory_by_ops",
    "selective_scan",
    "selective_scan_step",
]
