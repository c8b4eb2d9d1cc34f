"""How much is read at a time: what bounds the memory, and what a device's memory allows.

Sequences are read side by side up to a budget of bases, as many as keep the device busy. A causal
model carries its state on, so that chunks of any size bound its memory. One that reads both ways
reads a sequence whole; what does not fit is read in overlapping windows, each of which answers
for its middle alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import NamedTuple

import torch

from dnamamba.arguments import whole
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, OVERLAP
from dnamamba.inference.sharing import ALONE, Share, least
from dnamamba.model.backbone import Backbone, CausalBackbone

__all__ = ["Bounds", "Reading", "Window"]


# Memory to plan with on a CPU, the same on every machine: so are the windows. Of a GPU, half.
_CPU_MEMORY = 8 << 30

# Bases side by side from which on more make a device no faster: on a CPU each thread reads so many,
# and what a layer hands on stays in the caches; a GPU works longer than its launches take.
_ENOUGH_CPU = 1 << 12
_ENOUGH = 1 << 19
# Long sequences of a causal model stand side by side rather than in chunks longer than this.
_LEAST_CHUNK = 4096


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

    Those of one kind of model are passed over by the other, so that one line serves both.

    Attributes:
        batch_size: most sequences side by side.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: bases at a time, in all sequences side by side, padding included; on a CPU so
            many on each thread. None: 4,096 on a CPU, elsewhere 524,288 or what half of the free
            memory holds. By a model that reads both ways a longer sequence is read in windows of
            so many; None: of as many as the memory holds, half of a GPU's and 8 GiB on a CPU, as a
            power of two.
        overlap: bases that such a window reads on either side of those it answers for; None:
            8192, or a quarter of ``max_bases`` if that is less. A causal model has no windows.
        share: of this process, where several divide the batches.

    Raises:
        ValueError: a setting out of range; names it.
    """

    batch_size: int = BATCH_SIZE
    chunk_length: int = CHUNK_LENGTH
    max_bases: int | None = None
    overlap: int | None = None
    share: Share = field(default=ALONE, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, default in ((f.name, f.default) for f in fields(self) if f.name != "share"):
            value = getattr(self, name)
            if value is not None or default is not None:
                smallest = 0 if name == "overlap" else 1
                object.__setattr__(self, name, whole(name, value, smallest))

    def budget(self, backbone: Backbone, device: torch.device) -> int:
        """Bases to read side by side at a time, padding included; a longer sequence is alone."""
        if self.max_bases is not None:
            return self.max_bases
        if device.type == "cpu":
            return _ENOUGH_CPU
        return max(1, min(_ENOUGH, _free(device) // 2 // _bytes_of_a_base(backbone)))

    def agreed(self, backbone: Backbone, device: torch.device) -> int:
        """The budget by which batches are planned: the least of all processes that divide them."""
        return least(self.share, self.budget(backbone, device))

    def settled(self, backbone: Backbone, device: torch.device) -> "Reading":
        """The same for many batches of a causal model: the memory is looked at now, once."""
        if not backbone.causal:
            return self  # of which ``max_bases`` would cut the windows
        return replace(self, max_bases=self.agreed(backbone, device))

    def rows(self, backbone: Backbone, device: torch.device) -> int:
        """Most sequences side by side, of whose states a GPU's free memory holds four times."""
        if device.type == "cpu" or not isinstance(backbone, CausalBackbone):
            return self.batch_size
        state = backbone.initial_state(1, torch.device("cpu"))
        bytes_of_a_row = sum(x.numel() * x.element_size() for x in state.tensors)
        fitting = max(1, _free(device) // 4 // bytes_of_a_row)
        return least(self.share, min(self.batch_size, fitting))

    @property
    def row(self) -> int:
        """As how many bases the budget counts a sequence of a causal model, at most."""
        return min(self.chunk_length, _LEAST_CHUNK)

    def counted(self, budget: int, device: torch.device) -> int:
        """The same where whole sequences are read.

        An accelerator reads a long one alone as fast as many side by side; alone it is a batch of
        its own, which another process may have, and no other row waits for its end.
        """
        return self.row if device.type == "cpu" else min(self.chunk_length, budget)

    def chunk(self, rows: int, longest: int, backbone: Backbone, device: torch.device) -> int:
        """How many positions of each row a causal model reads at a time.

        Args:
            rows: side by side.
            longest: positions of the longest.
            backbone: the model.
            device: where it is.
        """
        share = max(1, self.budget(backbone, device) // rows)
        # An eighth more, and even chunks: of a row just too long next to nothing is left over.
        most = min(self.chunk_length, share + share // 8)
        return max(1, -(-longest // max(1, -(-longest // most))))

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
    memory = _CPU_MEMORY if device.type == "cpu" else _memory(device) // 2
    return 1 << max(0, (memory // _bytes_of_a_base(backbone)).bit_length() - 1)


def _memory(device: torch.device) -> int:
    """Bytes of an accelerator's memory."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return torch.mps.recommended_max_memory() if device.type == "mps" else _CPU_MEMORY


def _free(device: torch.device) -> int:
    """Bytes of a device's memory that nobody uses."""
    if device.type != "cuda":
        return _memory(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + cached


def _bytes_of_a_base(backbone: Backbone) -> int:
    """Memory that a forward pass needs for each base, at most."""
    config = backbone.config
    inner = getattr(config, "d_inner", config.d_model)
    strands = 2 if backbone.symmetric else 1
    return 4 * strands * (8 * inner + 8 * config.d_model)
