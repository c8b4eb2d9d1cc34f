"""Single numbers of embeddings as tracks, one file a dimension; all of them whole or none there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnamamba.arguments import whole
from dnamamba.files import replacing_together
from dnamamba.tracks import TrackFile, ending_of, open_track

__all__ = ["chosen_dimensions", "open_vector_tracks", "track_paths"]


def chosen_dimensions(dimensions: Sequence[str], path: Path, width: int) -> tuple[int, ...] | None:
    """The numbers that a track is to hold of each vector; None where the output is no track.

    Args:
        dimensions: as typed.
        path: the output.
        width: of a vector.

    Raises:
        ValueError: a track without them, another output with them, or what the vector does not
            have; names the remedy.
    """
    if ending_of(path) is None:
        if len(dimensions):
            raise ValueError(
                f"--dimensions are of tracks (.bw, .bedgraph), and {path} holds whole vectors; "
                "leave it out"
            )
        return None
    numbers = [
        whole("dimensions", int(text) if str(text).isdecimal() else text) for text in dimensions
    ]
    if not numbers or max(numbers) >= width or len(set(numbers)) < len(numbers):
        raise ValueError(
            f"{path} is a track, a number a base: say which of a vector with --dimensions, each of "
            f"0 to {width - 1} at most once; got {' '.join(map(str, numbers)) or 'none'}"
        )
    return tuple(numbers)


def track_paths(path: Path, dimensions: Sequence[int]) -> list[Path]:
    """A file a dimension: the output itself, or of several OUTPUT.e0.bw and its like."""
    if len(dimensions) == 1:
        return [path]
    ending = ending_of(path)
    assert ending is not None
    stem, ending = path.name[: -len(ending)], path.name[-len(ending) :]
    return [path.with_name(f"{stem}.e{number}{ending}") for number in dimensions]


class _Tracks:
    """Takes rows as an embedding's output does.

    Rows come region by region, in the order of a track; within one on the minus strand from its
    end. So a row is written when it is known that none comes that stands before it.
    """

    def __init__(self, tracks: Sequence[TrackFile], contigs: Mapping[str, int]) -> None:
        self._tracks, self._names = tracks, list(contigs)
        self._numbers = {name: number for number, name in enumerate(contigs)}
        self._waiting = np.zeros((3, 0), np.int64), np.zeros((0, len(tracks)), np.float32)

    def write(self, columns: dict[str, Any], vectors: NDArray[np.float32]) -> None:
        """Append rows: contig, start and end of each, and (rows, tracks) values."""
        contigs = [self._numbers[name] for name in columns["contig"]]
        places = np.array([contigs, columns["start"], columns["end"]], np.int64)
        places = np.concatenate([self._waiting[0], places], axis=1)
        vectors = np.concatenate([self._waiting[1], vectors])
        contig, start, _ = places
        ahead = (np.diff(contig) != 0) | (np.diff(start) > 0)
        complete = int(np.flatnonzero(ahead)[-1]) + 1 if ahead.any() else 0
        self._waiting = places[:, complete:], vectors[complete:]
        self._write(places[:, :complete], vectors[:complete])

    def finish(self) -> None:
        """Nothing comes any more."""
        self._write(*self._waiting)

    def _write(self, places: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        order = np.lexsort(places[1::-1])
        places, vectors = places[:, order], vectors[order]
        edges = np.flatnonzero(np.diff(places[0], prepend=-1, append=-1))
        for first, last in pairwise(edges.tolist()):
            contig = self._names[places[0, first]]
            start, end = places[1:, first:last]
            for track, column in zip(self._tracks, vectors.T, strict=True):
                track.write(contig, start, end, column[first:last])


@contextmanager
def open_vector_tracks(
    path: Path, dimensions: Sequence[int], contigs: Mapping[str, int]
) -> Iterator[_Tracks]:
    """Write tracks row by row; they appear when the block ends well.

    Args:
        path: see ``track_paths``.
        dimensions: of the vectors' numbers.
        contigs: name -> length.
    """
    with replacing_together() as opened, ExitStack() as stack:
        tracks = [
            stack.enter_context(
                open_track(
                    file, contigs, f"e{number}", f"dimension {number}, dnamamba embed", opened
                )
            )
            for file, number in zip(track_paths(path, dimensions), dimensions, strict=True)
        ]
        output = _Tracks(tracks, contigs)
        yield output
        output.finish()
