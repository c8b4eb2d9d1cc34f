"""The scan in one pass over memory, compiled by numba for the CPU; no gradient follows.

Where one does, ``chunked`` is forward and backward.
"""
