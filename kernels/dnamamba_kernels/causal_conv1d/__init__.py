"""The causal depthwise convolution of a Mamba block."""

from dnamamba_kernels.causal_conv1d.op import causal_conv1d
from dnamamba_kernels.causal_conv1d.step import causal_conv1d_step
from dnamamba_kernels.causal_conv1d.tail import causal_conv1d_tail

__all__ = ["causal_conv1d", "causal_conv1d_step", "causal_conv1d_tail"]
