"""The convolution in one pass over memory, compiled by numba for the CPU."""
