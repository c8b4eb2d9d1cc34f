"""bedGraph, plain or gzip: a line a value, contig, start, end, 0-based and half-open."""

import gzip
from typing import IO

import numpy as np
from numpy.typing import NDArray

__all__ = ["BedGraph"]

_LINES = 1 << 16  # in memory at a time


class BedGraph:
    """A bedGraph that is being written.

    Args:
        file: empty.
        name: of the track, for a browser.
        about: a longer name.
        zipped: by gzip.
    """

    def __init__(self, file: IO[bytes], name: str, about: str, zipped: bool = False) -> None:
        # Without a name and a time, which would make every file another one.
        self._zip = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if zipped else None
        self._file = self._zip or file
        # The quotes, or a line's end, of a label would end the description.
        about = " ".join(about.replace('"', "'").split())
        title = f'name="{name}" description="{about}"'
        self._file.write(f"track type=bedGraph {title}\n".encode())

    def write(
        self,
        contig: str,
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> None:
        """Append intervals [start, end) of one contig."""
        for first in range(0, len(start), _LINES):
            part = slice(first, first + _LINES)
            rows = zip(start[part].tolist(), end[part].tolist(), values[part].tolist(), strict=True)
            lines = (f"{contig}\t{low}\t{high}\t{value:.6g}\n" for low, high, value in rows)
            self._file.write("".join(lines).encode())

    def close(self, whole: bool) -> None:
        """Write what makes the file whole."""
        if self._zip is not None:
            self._zip.close()
