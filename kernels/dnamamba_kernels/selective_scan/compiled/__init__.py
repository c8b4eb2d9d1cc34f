"""The scan compiled by numba for the CPU, a single pass over memory forward.

``kernel`` is the forward and ``backward`` the gradients, each of some rows on one thread;
``launch`` shares rows and channels out.
"""
