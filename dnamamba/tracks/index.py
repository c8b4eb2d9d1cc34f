"""The trees by which a bigWig is searched (Kent et al. 2010): of blocks of data, and of contigs."""

import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "write_contigs", "write_index"]

_NODE = 256  # children
_TREE, _CONTIGS = 0x2468ACE0, 0x78CA8C91

_BOUNDS = [(name, "<u4") for name in ("contig", "start", "last_contig", "end")]
_INNER = np.dtype([*_BOUNDS, ("offset", "<u8")])

BLOCK = np.dtype([*_BOUNDS, ("offset", "<u8"), ("size", "<u8")])
"""What lies in a block of a file, [start, end), and where the block lies."""


def write_index(file: IO[bytes], blocks: NDArray[Any], items: int) -> None:
    """Write the R tree of blocks at the file's end.

    Args:
        file: stands at its end.
        blocks: (n,) of ``BLOCK``, in the order of contig and start.
        items: most in a block.
    """
    levels = [blocks]
    while len(levels[0]) > _NODE:
        below = levels[0]
        first = np.arange(0, len(below), _NODE)
        last = np.minimum(first + _NODE, len(below)) - 1
        above = np.zeros(len(first), _INNER)
        for name in ("contig", "start"):
            above[name] = below[name][first]
        for name in ("last_contig", "end"):
            above[name] = below[name][last]
        levels.insert(0, above)
    begin, end = (blocks[0], blocks[-1]) if len(blocks) else (np.zeros((), BLOCK),) * 2
    bounds = begin["contig"], begin["start"], end["last_contig"], end["end"]
    data_end = int(end["offset"] + end["size"])
    file.write(struct.pack("<IIQ4IQII", _TREE, _NODE, len(blocks), *bounds, data_end, items, 0))
    at = file.tell()
    for depth, level in enumerate(levels):
        nodes = max(1, -(-len(level) // _NODE))
        size = 4 * nodes + level.nbytes
        if depth < len(levels) - 1:
            width = levels[depth + 1].dtype.itemsize
            level["offset"] = at + size + np.arange(len(level)) * (4 + _NODE * width)
        for number in range(nodes):
            part = level[number * _NODE : (number + 1) * _NODE]
            file.write(struct.pack("<BxH", depth == len(levels) - 1, len(part)) + part.tobytes())
        at += size


def write_contigs(file: IO[bytes], contigs: Mapping[str, int]) -> None:
    """Write the B+ tree from names to numbers and lengths at the file's end.

    Args:
        file: stands at its end.
        contigs: name -> length; their order is that of their numbers.
    """
    entries = [(name.encode(), number, size) for number, (name, size) in enumerate(contigs.items())]
    entries.sort()
    width = max(len(name) for name, *_ in entries)
    file.write(struct.pack("<IIIIQQ", _CONTIGS, _NODE, width, 8, len(entries), 0))
    keys = [name.ljust(width, b"\0") for name, *_ in entries]
    leaves = [struct.pack("<II", number, size) for _, number, size in entries]
    levels = [keys]
    while len(levels[0]) > _NODE:
        levels.insert(0, levels[0][::_NODE])
    at = file.tell()
    for depth, level in enumerate(levels):
        nodes = -(-len(level) // _NODE)
        at += 4 * nodes + (width + 8) * len(level)
        is_leaf = depth == len(levels) - 1
        full = 4 + _NODE * (width + 8)
        values = (
            leaves if is_leaf else [struct.pack("<Q", at + i * full) for i in range(len(level))]
        )
        items = [key + value for key, value in zip(level, values, strict=True)]
        for first in range(0, len(items), _NODE):
            part = items[first : first + _NODE]
            file.write(struct.pack("<BxH", is_leaf, len(part)) + b"".join(part))
