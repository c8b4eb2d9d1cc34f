"""Which sequences are read together: those of like length, or neighbours."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from dnamamba.inference.sources import Source, sources_of

__all__ = ["buckets", "grouped"]

Item = TypeVar("Item")


def buckets(
    sources: Sequence[Source], batch_size: int, most: int | None = None, row: int | None = None
) -> Iterator[list[int]]:
    """Numbers of the sources in batches of like length, the longest first, also within a batch.

    Args:
        sources: the sequences.
        batch_size: most of them in a batch.
        most: most bases in a batch, padding included; a longer sequence stands alone. None: any.
        row: as how many bases a longer sequence counts, which is read piece by piece; None: all.
    """
    lengths = sources_of(sources).lengths
    order = np.argsort(-lengths, kind="stable")
    counted = lengths[order] if row is None else np.minimum(lengths[order], row)
    first = 0
    while first < len(order):
        width = max(1, int(counted[first]))  # none behind it is longer
        fit = batch_size if most is None else min(batch_size, max(1, most // width))
        yield order[first : first + fit].tolist()
        first += fit


def grouped(
    items: Iterable[Item], size: Callable[[Item], int], batch_size: int, most: int | None = None
) -> Iterator[list[Item]]:
    """Neighbours in batches, read no further than the one that is yielded and one item more.

    Args:
        items: what is to be batched.
        size: bases of an item.
        batch_size: most items in a batch.
        most: most bases in a batch, all its items counted as long as the longest; a longer item
            stands alone. None: any.
    """
    batch: list[Item] = []
    width = 0
    for item in items:
        wider = max(width, size(item))
        crowded = most is not None and wider * (len(batch) + 1) > most
        if batch and (crowded or len(batch) == batch_size):
            yield batch
            batch, wider = [], size(item)
        batch.append(item)
        width = wider
    if batch:
        yield batch
