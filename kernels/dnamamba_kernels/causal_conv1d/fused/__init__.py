"""The convolution on Triton."""
