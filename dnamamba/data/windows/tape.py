"""Usable sequence laid end to end, and cut into windows that are full whatever its pieces' lengths.

Which bases a window has is a pure function of the seed and of the window's number: nothing is
carried from window to window.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.samples.permutation import mix, permute
from dnamamba.data.windows.regions import Regions
from dnamamba.data.windows.settings import SHORTEST

__all__ = ["Pieces", "Tape"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Keeps the hashes of one seed for its several uses apart.
_STRETCHES, _STRANDS, _WINDOWS = range(3, 6)
_KEPT = 3  # layouts that are remembered: windows of one batch lie in two rounds, or three


class Pieces(NamedTuple):
    """What windows are made of: row by row, from left to right, without a gap.

    Attributes:
        row: (P,) int64, ascending: which of the windows a piece belongs to.
        contig: (P,) int64, numbers of contigs in ``Contigs``.
        start: (P,) int64, 0-based, on the plus strand.
        length: (P,) int64, bases, at least 1.
        reverse: (P,) bool, read as the reverse complement.
        begins: (P,) bool, whether nothing that is read before a piece stands before it.
    """

    row: Ints
    contig: Ints
    start: Ints
    length: Ints
    reverse: Flags
    begins: Flags

    def take(self, which: Ints | Flags) -> "Pieces":
        """Some of them, by number or by mask."""
        columns: Any = (column[which] for column in self)
        return Pieces(*columns)

    @property
    def place(self) -> Ints:
        """(P,) int64, where in its row each begins."""
        before = np.cumsum(self.length) - self.length
        first = np.searchsorted(self.row, self.row)
        return before - before[first]


class _Layout(NamedTuple):
    """A round of the tape: the stretches in its order."""

    order: Ints
    until: Ints
    reverse: Flags


@dataclass(frozen=True)
class Tape:
    """Stretches of sequence end to end, on one strand each, divided into lanes of equal length.

    A round of the tape holds every stretch once: in the genome's order, or in another order and
    on other strands in each round. It is cut into ``lanes`` contiguous parts, whose lengths differ
    by a base at most. A lane reads its part of one round after the other: of its own bases, window
    k is ``[k * length, (k + 1) * length)``. So every window is full, a window that does not fit in
    a round goes on in the next one, and in each round every base is read once.

    A base begins anew where its stretch begins, where a lane's part of a round does, and where a
    lane is read from.

    Attributes:
        stretches: sorted, free of overlaps.
        length: L, bases in a window.
        lanes: parts; sample i is the next window of lane ``i % lanes``.
        seed: 0 to 2**63 - 1.
        shuffle: another order of the stretches in each round, else the genome's; and without
            lanes another order of the windows, too.
        flip: read half of the stretches of a round as their reverse complement.
        once: there is one round alone, and each lane's last window is short.
        opening: the window of each lane that is read first; nothing before it has been.
    """

    stretches: Regions
    length: int
    lanes: int = 1
    seed: int = 0
    shuffle: bool = False
    flip: bool = False
    once: bool = False
    opening: int = 0
    _layouts: dict[int, _Layout] = field(default_factory=dict, compare=False, repr=False)

    @property
    def steps(self) -> int:
        """Windows of the longest lane in one round."""
        return -(-self.stretches.bases // (self.lanes * self.length))

    def __len__(self) -> int:
        """Samples in an epoch: the full windows of a round; of an only one, all of all lanes."""
        return self.steps * self.lanes if self.once else self.stretches.bases // self.length

    def check(self, setting: str = "data.length") -> None:
        """Refuse a tape too short for its lanes.

        Args:
            setting: what sets its length.

        Raises:
            ValueError: says how long it is, and what would fit.
        """
        bases = self.stretches.bases
        if bases >= self.lanes * self.length:
            return
        shorter = bases // self.lanes
        remedies = [f"set {setting} to {shorter:,} or less"] if shorter >= SHORTEST else []
        if self.lanes == 1:
            raise ValueError(
                f"{setting} {self.length:,} is more than the {bases:,} bases to train on, N "
                f"apart; {' '.join(remedies) or 'name more sequence'}"
            )
        if bases >= self.length:
            remedies.insert(0, f"set data.global_batch_size to {bases // self.length} or less")
        raise ValueError(
            f"data.rows=lanes reads data.global_batch_size {self.lanes} lanes side by side, at "
            f"least a window each: {self.lanes} x {self.length:,} bases, and there are {bases:,} "
            f"to train on, N apart; {', or '.join(remedies) or 'name more sequence, or lower both'}"
        )

    def pieces(self, index: Ints) -> Pieces:
        """What the samples of these numbers (n,) int64 are made of; of a negative one, nothing."""
        lane, window = self._windows(np.maximum(index, 0))
        total = self.stretches.bases
        first, end = lane * total // self.lanes, (lane + 1) * total // self.lanes
        turn, start = np.divmod(window * self.length, np.maximum(end - first, 1))
        size = np.minimum(self.length, end - first - start)
        size[(index < 0) | (self.once & (turn > 0))] = 0
        rest = np.zeros_like(size) if self.once else self.length - size
        # A window lies in one round, or in two: the rest is the lane's beginning of the next.
        spans = _Spans(
            row=np.repeat(np.arange(len(index)), 2),
            turn=np.stack([turn, turn + 1], 1).ravel(),
            low=np.stack([first + start, first], 1).ravel(),
            high=np.stack([first + start + size, first + np.where(index < 0, 0, rest)], 1).ravel(),
            at_first=np.stack([(start == 0) | (window == self.opening), rest > 0], 1).ravel(),
        )
        some = np.flatnonzero(spans.high > spans.low)
        parts = [self._within(turn, spans, some) for turn in np.unique(spans.turn[some])]
        if not parts:
            nothing = np.empty(0, np.int64)
            no = np.empty(0, np.bool_)
            return Pieces(nothing, nothing, nothing, nothing, no, no)
        span = np.concatenate([part.row for part in parts])
        joined = Pieces(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        joined = joined.take(np.argsort(span, kind="stable"))
        return joined._replace(row=spans.row[joined.row])

    def _windows(self, index: Ints) -> tuple[Ints, Ints]:
        """The lane of each sample, and which of its windows it is."""
        window, lane = np.divmod(index, self.lanes)
        if self.shuffle and self.lanes == 1 and not self.once:
            turn, place = np.divmod(window, len(self))
            window = turn * len(self) + permute(place, len(self), mix(self.seed, _WINDOWS, turn))
        return lane, window

    def _within(self, turn: int, spans: "_Spans", some: Ints) -> Pieces:
        """The pieces of the spans of one round; ``row`` is the span's number."""
        own = some[spans.turn[some] == turn]
        order, until, reverse = self._layout(int(turn))
        low, high = spans.low[own], spans.high[own]
        first = np.searchsorted(until, low, side="right")
        count = np.searchsorted(until, high, side="left") - first + 1
        span = np.repeat(np.arange(len(own)), count)
        place = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count) + first[span]
        stretch = order[place]
        contig, start, end = (column[stretch] for column in self.stretches)
        begin = until[place] - (end - start)
        left, right = np.maximum(low[span], begin), np.minimum(high[span], until[place])
        offset, size = left - begin, right - left
        return Pieces(
            row=own[span],
            contig=contig,
            start=np.where(reverse[place], end - offset - size, start + offset),
            length=size,
            reverse=reverse[place],
            begins=(offset == 0) | (spans.at_first[own][span] & (left == low[span])),
        )

    def _layout(self, turn: int) -> _Layout:
        layout = self._layouts.get(turn)
        if layout is None:
            n = len(self.stretches.contig)
            order, reverse = np.arange(n), np.zeros(n, np.bool_)
            if self.flip:
                reverse = (mix(self.seed, _STRANDS, turn, order) & np.uint64(1)).astype(np.bool_)
            if self.shuffle:
                order = permute(order, n, mix(self.seed, _STRETCHES, turn))
            size = (self.stretches.end - self.stretches.start)[order]
            layout = _Layout(order, np.cumsum(size), reverse[order])
            while len(self._layouts) >= _KEPT:
                self._layouts.pop(next(iter(self._layouts)), None)
            self._layouts[turn] = layout
        return layout


class _Spans(NamedTuple):
    """Parts of windows, each within one round; in bases of the round."""

    row: Ints
    turn: Ints
    low: Ints
    high: Ints
    at_first: Flags  # whether the lane's part of the round, or its reading, begins here
