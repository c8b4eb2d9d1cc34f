"""The scan in PyTorch."""
