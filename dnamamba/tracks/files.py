"""A track as a file: bigWig or bedGraph by its name, written as values come; whole or not there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.files import Opened, replacing
from dnamamba.tracks.bedgraph import BedGraph
from dnamamba.tracks.bigwig import BigWig

__all__ = ["ENDINGS", "TrackEnding", "TrackFile", "ending_of", "open_track"]

TrackEnding = Literal["bedgraph", "bedgraph.gz", "bw", "bigwig"]
"""Of a name that a command makes: one of ``ENDINGS``, without the dot."""

Ints = NDArray[np.int64]


class _Written(Protocol):
    def write(self, contig: str, start: Ints, end: Ints, values: NDArray[np.float64]) -> None: ...
    def close(self, whole: bool) -> None: ...


def _bigwig(file: IO[bytes], contigs: Mapping[str, int], name: str, about: str) -> _Written:
    return BigWig(file, contigs)


def _bedgraph(file: IO[bytes], contigs: Mapping[str, int], name: str, about: str) -> _Written:
    return BedGraph(file, name, about)


def _zipped(file: IO[bytes], contigs: Mapping[str, int], name: str, about: str) -> _Written:
    return BedGraph(file, name, about, zipped=True)


_FORMATS: dict[str, Callable[[IO[bytes], Mapping[str, int], str, str], _Written]] = {
    ".bw": _bigwig,
    ".bigwig": _bigwig,
    ".bedgraph": _bedgraph,
    ".bedgraph.gz": _zipped,
}

ENDINGS = tuple(_FORMATS)


def ending_of(path: str | Path) -> str | None:
    """By which of the endings a file is a track, in either case; None: it is none."""
    name = Path(path).name.lower()
    return next((ending for ending in ENDINGS if name.endswith(ending)), None)


class TrackFile:
    """An open track: one value for each base, of as many bases as have one.

    Contigs come in the order of the genome, and intervals in their order on the contig.
    """

    def __init__(self, path: Path, written: _Written, contigs: Mapping[str, int]) -> None:
        self._path, self._written = path, written
        self._numbers = {contig: number for number, contig in enumerate(contigs)}
        self._reached = (0, 0)

    def write(self, contig: str, start: Any, end: Any, values: Any) -> None:
        """Append the values of intervals.

        Args:
            contig: which all of them are on.
            start: (n,) int64, 0-based.
            end: (n,) int64, exclusive.
            values: (n,); NaN for none.

        Raises:
            ValueError: an interval does not stand behind all before it.
        """
        start, end = np.asarray(start, np.int64), np.asarray(end, np.int64)
        values = np.asarray(values, np.float64)
        known = ~np.isnan(values)
        start, end, values = start[known], end[known], values[known]
        if not len(start):
            return
        before = np.concatenate([[self._behind(contig)], end[:-1]])
        if (overlap := np.flatnonzero(start < before)).size:
            place = f"{contig}:{start[overlap[0]]}-{end[overlap[0]]}"
            raise ValueError(
                f"{self._path} holds one value a base, in their order, and {place} stands behind "
                "or over others; sort the regions, and join those that overlap"
            )
        self._reached = self._numbers[contig], int(end[-1])
        self._written.write(contig, start, end, values)

    def _behind(self, contig: str) -> int:
        """The first base of a contig that may have a value."""
        number, reached = self._reached
        own = self._numbers[contig]
        if own == number:
            return reached
        return 0 if own > number else 1 << 40


@contextmanager
def open_track(
    path: str | Path,
    contigs: Mapping[str, int],
    name: str,
    about: str = "",
    opened: Opened = replacing,
) -> Iterator[TrackFile]:
    """Write a track piece by piece; it appears when the block ends well.

    Args:
        path: ends in one of ``ENDINGS``.
        contigs: of the genome: name -> length in bases.
        name: of the track, for a browser.
        about: a longer name.
        opened: how the file is opened.

    Raises:
        ValueError: bigWig cannot hold such contigs.
    """
    path = Path(path)
    ending = ending_of(path)
    assert ending is not None
    with opened(path) as file:
        written = _FORMATS[ending](file, contigs, name, about or name)
        try:
            yield TrackFile(path, written, contigs)
        except BaseException:
            written.close(whole=False)
            raise
        written.close(whole=True)
