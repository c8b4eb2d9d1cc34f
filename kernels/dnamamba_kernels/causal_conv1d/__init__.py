"""The causal depthwise convolution of a Mamba block."""

from dnamamba_kernels.causal_conv1d.op import causal_conv1d
from dnamamba_kernels.causal_conv1d.step import causal_conv1d_step

__all__ = ["causal_conv1d", "causal_conv1d_step"]
