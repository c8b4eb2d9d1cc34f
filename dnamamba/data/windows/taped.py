"""Windows of a tape: batches of token ids in full rows, read as they are asked for."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples.loader import SampleDataset
from dnamamba.data.samples.order import lane_batches
from dnamamba.data.windows.regions import Contigs
from dnamamba.data.windows.tape import Pieces, Tape
from dnamamba.lookup import look_up

__all__ = ["TapeDataset"]

Ids = NDArray[np.uint8]
Ints = NDArray[np.int64]

_NAMED = 4  # pieces of a window that its name tells


class TapeDataset(SampleDataset):
    """A batch of a tape's windows for an array of sample numbers.

    Of what ``SampleDataset`` names, a batch holds ``tokens`` and ``index``, and ``resets`` where
    any of its rows begins anew: lanes seldom do, and a scan is faster without. Of a tape that is
    read once it holds ``lengths`` too; where asked for ``soft_mask`` as in ``WindowDataset``; and
    of lanes ``lane`` (B,) int64, whose next window a row is, and ``before`` (B,) uint8, the base
    that its lane read last, BOS where the row's first base begins anew.

    Args:
        genomes: in the order of ``contigs.genomes``.
        contigs: what the tape's contig numbers mean.
        tape: what a window is made of.
        tokenizer: byte -> id.
        soft_mask: whether to deliver ``soft_mask``.
        carried: whether rows go on from step to step: what is read is lanes.
    """

    def __init__(
        self,
        genomes: Sequence[Genome],
        contigs: Contigs,
        tape: Tape,
        tokenizer: Tokenizer,
        *,
        soft_mask: bool = False,
        carried: bool = False,
    ) -> None:
        self.genomes, self.contigs, self.tape = genomes, contigs, tape
        self.tokenizer, self.soft_mask, self.carried = tokenizer, soft_mask, carried
        self._letters = b"".join(genome.letters for genome in genomes)

    def __len__(self) -> int:
        return len(self.tape)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of the largest sample's ``tokens``: (L,)."""
        return (self.tape.length,)

    def __getitem__(self, index: Ints) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""
        pieces = self.tape.pieces(index)
        raw = self._read(pieces)
        ids = np.empty_like(raw)
        self.tokenizer.encode_into(raw, ids, self._letters)
        self._turn(ids, pieces)
        lengths = np.bincount(pieces.row, pieces.length, len(index)).astype(np.int64)
        real = np.arange(self.tape.length) < lengths[:, None]
        tokens = np.full(real.shape, PAD, np.uint8)
        tokens[real] = ids
        batch = {"tokens": tokens, "index": np.where(lengths > 0, index, -1)}
        if pieces.begins.any():
            batch["resets"] = np.zeros(real.shape, np.bool_)
            begins = pieces.take(pieces.begins)
            batch["resets"][begins.row, pieces.place[pieces.begins]] = True
        if self.tape.once:
            batch["lengths"] = lengths
        if self.soft_mask:
            lower = np.zeros(real.shape, np.bool_)
            lower[real] = self._lower(raw, pieces)
            batch["soft_mask"] = np.packbits(lower, axis=1)
        if self.carried:
            batch["lane"] = np.maximum(index, 0) % self.tape.lanes
            batch["before"] = self._before(pieces, len(index))
        return {name: torch.from_numpy(column) for name, column in batch.items()}

    def names(self, index: Ints) -> list[str]:
        """``genome contig:start-end(strand) + ...`` of each sample's pieces, the first of them."""
        pieces = self.tape.pieces(index)
        return [self._name(pieces.take(pieces.row == row)) for row in range(len(index))]

    def held_out(self, batch: int, rank: int, world: int, mixed: bool) -> Iterator[Ints]:
        """Lane by lane, as many at a time as there are rows; ``mixed`` or not."""
        return lane_batches(self.tape.lanes, self.tape.steps, batch, rank, world)

    def held_out_steps(self, rows: int) -> int:
        return -(-self.tape.lanes // rows) * self.tape.steps

    def _name(self, pieces: Pieces) -> str:
        more, told = len(pieces.row) - _NAMED, pieces.take(np.arange(len(pieces.row)) < _NAMED)
        windows = zip(told.contig, told.start, told.length, told.reverse, strict=True)
        names = [self.contigs.named(*window) for window in windows]
        return " + ".join(names) + (f" + {more} more" if more > 0 else "")

    def _read(self, pieces: Pieces) -> Ids:
        """The pieces' bytes end to end, each from the plus strand."""
        genome, within = self.contigs.genome[pieces.contig], self.contigs.within[pieces.contig]
        if len(self.genomes) == 1:
            return self.genomes[0].read_joined(within, pieces.start, pieces.length)
        out = np.empty(int(pieces.length.sum()), np.uint8)
        of_base = np.repeat(genome, pieces.length)
        for one in np.unique(genome):
            own = genome == one
            columns = within[own], pieces.start[own], pieces.length[own]
            out[of_base == one] = self.genomes[one].read_joined(*columns)
        return out

    def _turn(self, ids: Ids, pieces: Pieces) -> None:
        """Read those ids from the minus strand that are to be."""
        parts = list(_reversed_parts(pieces))
        if not parts:
            return
        # One look-up for all: of short pieces there are many.
        turned = np.concatenate([ids[part][::-1] for part in parts])
        complement = np.empty_like(turned)
        look_up(self.tokenizer.complement_table, turned, complement)
        start = 0
        for part in parts:
            size = part.stop - part.start
            ids[part] = complement[start : start + size]
            start += size

    def _lower(self, raw: Ids, pieces: Pieces) -> NDArray[np.bool_]:
        lower = self.tokenizer.soft_mask(raw)
        for part in _reversed_parts(pieces):
            lower[part] = lower[part][::-1].copy()
        return lower

    def _before(self, pieces: Pieces, rows: int) -> Ids:
        """(rows,) the base that stands before each row, BOS where there is none."""
        before = np.full(rows, BOS, np.uint8)
        first = np.concatenate([[True], np.diff(pieces.row) > 0])[: len(pieces.row)]
        goes_on = pieces.take(first & ~pieces.begins)
        if len(goes_on.row):
            start = np.where(goes_on.reverse, goes_on.start + goes_on.length, goes_on.start - 1)
            bases = goes_on._replace(start=start, length=np.ones_like(start))
            raw = self._read(bases)
            ids = np.empty_like(raw)
            self.tokenizer.encode_into(raw, ids, self._letters)
            complement = np.empty_like(ids)
            look_up(self.tokenizer.complement_table, ids, complement)
            before[goes_on.row] = np.where(bases.reverse, complement, ids)
        return before


def _reversed_parts(pieces: Pieces) -> Iterator[slice]:
    end = np.cumsum(pieces.length)
    reverse = np.flatnonzero(pieces.reverse)
    bounds = (end - pieces.length)[reverse].tolist(), end[reverse].tolist()
    yield from map(slice, *bounds)
