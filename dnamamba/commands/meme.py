"""Motifs as a table that the MEME suite, Tomtom, FIMO and Biopython read: minimal MEME format."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.arguments import whole
from dnamamba.commands.places import Place
from dnamamba.files import Opened, replacing

__all__ = ["Motif", "check_width", "motif_of", "write_meme"]

Floats = NDArray[np.float64]

# What a motif of a model says of its sites, of which there are none: readers that make counts of
# probabilities, as Biopython, keep three digits.
_SITES = 1000


class Motif(NamedTuple):
    """A motif.

    Attributes:
        name: without blanks.
        probabilities: (width, 4) of A, C, G and T, which sum to 1.
        sites: of how many sequences.
    """

    name: str
    probabilities: Floats
    sites: int = _SITES


def check_width(width: int | None, places: Sequence[Place]) -> None:
    """See that every region has as many bases as a motif.

    Raises:
        ValueError: one has not, or the width makes no sense; names it.
    """
    if width is None:
        return
    whole("motifs", width, 1)
    for contig, start, end in places:
        if end - start < width:
            raise ValueError(
                f"motifs of {width} bases do not fit into {contig}:{start}-{end}, which has "
                f"{end - start}; lower --motifs, or widen the region"
            )


def motif_of(contig: str, start: int, each: Floats, weight: Floats, width: int) -> Motif | None:
    """The neighbouring bases of a region that weigh most, as a motif called by their place.

    Args:
        contig: where the region lies.
        start: 0-based place of its first base.
        each: (L, 4) what A, C, G and T would add, in nats or log-odds; the motif has each with a
            probability in proportion to its exponential.
        weight: (L,) of each base, up or down.
        width: of the motif.

    Returns:
        None where no ``width`` neighbours are A, C, G or T.
    """
    weight = np.where(np.isfinite(each).all(1), np.abs(weight), np.nan)
    sums = np.lib.stride_tricks.sliding_window_view(weight, width).sum(1)
    if np.isnan(sums).all():
        return None
    first = int(np.nanargmax(sums))
    part = each[first : first + width]
    odds = np.exp(part - part.max(1, keepdims=True))
    name = f"{contig}:{start + first}-{start + first + width}"
    return Motif(name, odds / odds.sum(1, keepdims=True))


def write_meme(path: Path, motifs: Sequence[Motif | None], opened: Opened = replacing) -> None:
    """Write motifs, those that there are."""
    with opened(path) as file:
        file.writelines(line.encode() for line in _lines(motifs))


def _lines(motifs: Sequence[Motif | None]) -> Iterator[str]:
    yield "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
    yield "Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n\n"
    for motif in motifs:
        if motif is not None:
            size = f"w= {len(motif.probabilities)} nsites= {motif.sites}"
            yield f"MOTIF {motif.name}\nletter-probability matrix: alength= 4 {size} E= 0\n"
            for row in motif.probabilities:
                yield " " + " ".join(f"{p:.6f}" for p in row) + "\n"
            yield "\n"
