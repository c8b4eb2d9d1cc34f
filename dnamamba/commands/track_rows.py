"""Regions in the order in which a track holds them."""

from pathlib import Path

import numpy as np

from dnamamba.inference.intervals import Intervals

__all__ = ["in_track_order"]


def in_track_order(pieces: Intervals, path: Path) -> Intervals:
    """Regions by contig and place.

    Args:
        pieces: regions of one genome.
        path: the track.

    Raises:
        ValueError: two overlap, so that a base would have two values; names both and a remedy.
    """
    ordered = pieces.take(np.lexsort((pieces.start, pieces.contig)))
    same = ordered.contig[1:] == ordered.contig[:-1]
    both = np.flatnonzero(same & (ordered.start[1:] < ordered.end[:-1]))
    if len(both):
        first, second = (
            f"{piece.contig}:{piece.start}-{piece.end}"
            for piece in (ordered[int(both[0])], ordered[int(both[0]) + 1])
        )
        raise ValueError(
            f"the regions {first} and {second} overlap, and {path} holds one value a base; join "
            "them (bedtools merge), or name another kind of output"
        )
    return ordered
