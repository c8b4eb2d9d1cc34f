"""The convolution in PyTorch."""
