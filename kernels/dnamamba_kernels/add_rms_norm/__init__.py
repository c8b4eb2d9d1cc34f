"""Residual add and RMSNorm in one."""

from dnamamba_kernels.add_rms_norm.op import add_rms_norm

__all__ = ["add_rms_norm"]
