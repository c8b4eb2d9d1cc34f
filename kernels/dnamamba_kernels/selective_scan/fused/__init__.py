"""The scan on Triton."""
