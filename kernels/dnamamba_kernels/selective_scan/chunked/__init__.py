"""The scan in PyTorch: no tensor of size (B, L, D, N), and a backward of its own.

Four loops inside one another, a file each: blocks of rows and channels side by side on the CPU's
threads (``launch``); in a block panels of positions, of size positions x D, and in a panel slabs,
of size positions x D x N, one after the other (``sweep``, ``panel``); in a slab positions
(``slab``).
"""
