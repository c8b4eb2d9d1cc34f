"""How much is read at a time: what bounds the memory, and what a device's memory allows.

A causal model carries its state on, so that its memory is bounded by chunks of any size. One that
reads both ways reads a sequence whole; what does not fit is read in overlapping windows, each of
which answers for its middle alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import torch

from dnamamba.arguments import whole
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, OVERLAP
from dnamamba.model.backbone import Backbone

__all__ = ["Bounds", "Reading", "Window"]


# Memory to plan with on a CPU, the same on every machine: so are the windows. Of a GPU, half.
_CPU_MEMORY = 8 << 30


class Window(NamedTuple):
    """Bases [first, last) of a sequence, read to answer for [start, stop) within them."""

    first: int
    last: int
    start: int
    stop: int


class Bounds(NamedTuple):
    """What a model that reads both ways reads at a time, on some device.

    Attributes:
        most: bases, of all sequences side by side together.
        overlap: bases read on either side of those that a window answers for.
    """

    most: int
    overlap: int

    def windows(self, length: int) -> Iterator[Window]:
        """One window where a sequence of ``length`` bases fits, else as few as do.

        Their number is odd and they lie alike on both strands, so that a model that treats the
        strands alike does so in windows, too.
        """
        room = self.most - 2 * self.overlap
        n = 1 if length <= self.most else -(-length // room) | 1
        left = [-(-i * length // n) for i in range(n // 2 + 1)]
        edges = left + [length - edge for edge in reversed(left)]
        for start, stop in pairwise(edges):
            if start < stop:
                first, last = start - self.overlap, stop + self.overlap
                yield Window(max(0, first), min(length, last), start, stop)


@dataclass(frozen=True)
class Reading:
    """Settings of a reading; none changes a result beyond rounding, but for windows.

    Attributes:
        batch_size: sequences side by side.
        chunk_length: bases at a time of a causal model.
        max_bases: bases at a time, in all sequences side by side, of a model that reads both ways;
            a longer sequence is read in windows. None: as many as the memory holds, half of a
            GPU's and 8 GiB on a CPU, as a power of two.
        overlap: bases that such a window reads on either side of those it answers for; None:
            8192, or a quarter of ``max_bases`` if that is less.

    Raises:
        ValueError: a setting out of range; names it.
    """

    batch_size: int = BATCH_SIZE
    chunk_length: int = CHUNK_LENGTH
    max_bases: int | None = None
    overlap: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                least = 0 if field.name == "overlap" else 1
                object.__setattr__(self, field.name, whole(field.name, value, least))

    def bounds(self, backbone: Backbone, device: torch.device) -> Bounds:
        """The bounds of a model that reads both ways.

        Raises:
            ValueError: the overlaps leave nothing of a window.
        """
        most = self.max_bases or _fitting(backbone, device)
        overlap = min(OVERLAP, most // 4) if self.overlap is None else self.overlap
        if 2 * overlap >= most:
            raise ValueError(
                f"overlap must be less than half of max_bases ({most:,}), got {overlap:,}"
            )
        return Bounds(most, overlap)


def _fitting(backbone: Backbone, device: torch.device) -> int:
    """Bases that the memory of a device holds at a time, as a power of two."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory // 2
    elif device.type == "mps":
        memory = torch.mps.recommended_max_memory() // 2
    else:
        memory = _CPU_MEMORY
    return 1 << max(0, (memory // _bytes_of_a_base(backbone)).bit_length() - 1)


def _bytes_of_a_base(backbone: Backbone) -> int:
    """Memory that a forward pass needs for each base, at most."""
    config = backbone.config
    inner = getattr(config, "d_inner", config.d_model)
    strands = 2 if backbone.symmetric else 1
    return 4 * strands * (8 * inner + 8 * config.d_model)
