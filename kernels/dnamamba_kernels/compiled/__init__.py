"""What the kernels that numba compiles for the CPU share. Nothing here loads without numba."""
