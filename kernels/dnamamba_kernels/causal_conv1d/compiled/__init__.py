"""The convolution in one pass over memory, compiled by numba for the CPU; no gradient follows.

Where one does, ``eager`` is forward and backward.
"""
