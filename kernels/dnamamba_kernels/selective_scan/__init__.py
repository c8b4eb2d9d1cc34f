"""The selective scan of Mamba-1."""

from dnamamba_kernels.selective_scan.op import selective_scan
from dnamamba_kernels.selective_scan.step import selective_scan_step

__all__ = ["selective_scan", "selective_scan_step"]
