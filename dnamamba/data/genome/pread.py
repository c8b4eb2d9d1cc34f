"""Reading a genome's bases by position, without a file offset that processes could share."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.genome.index import Record
from dnamamba.data.genome.source import Identity, is_still

__all__ = ["BasesFile"]

Row = NDArray[np.uint8]
Ints = NDArray[np.int64]

_SHORT = 1 << 14  # bases: a longer row is read by itself, without a copy
_APART = 1 << 12  # bases between two rows that are cheaper read than another call
_PIECE_BITS = 22  # of a call's bases, about: what rows far apart ask for stays within a few MB


class _Descriptor(FileIO):
    """Closes itself without a word when the last reader lets go of it."""

    def __del__(self) -> None:
        self.close()


class BasesFile:
    """The file that bases are read from: a cache of bare bases, or the FASTA by its index.

    Every read is a ``pread``: it moves no shared offset, so threads and forked processes cannot
    disturb each other. The descriptor belongs to one process; another, forked or spawned, opens
    its own. Size, times and inode are compared before every batch and behind it: what was read of
    a file that somebody overwrote meanwhile is not handed out.

    Args:
        path: the file.
        identity: what it must be.
        layout: (n, 4) int64, the FASTA's index: see ``Contents``.
        bare: the file is a cache: the bases of all records laid end to end.
    """

    def __init__(
        self, path: Path, identity: Identity, layout: NDArray[np.int64], bare: bool
    ) -> None:
        self._path, self._identity = path, identity
        self._layout, self._bare = layout, bare
        self._opened: tuple[int, _Descriptor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    @contextmanager
    def reading(self) -> Iterator[FileIO]:
        """This process's descriptor, for the length of a batch.

        Raises:
            ValueError: the file is gone, or is not, before the batch or behind it, the one that
                was indexed.
        """
        opened = self._opened
        try:
            if opened is None or opened[0] != os.getpid():
                opened = self._opened = (os.getpid(), _Descriptor(self._path))
        except OSError as error:
            raise ValueError(
                f"cannot read {self._path}: {error.strerror}; open the genome again"
            ) from error
        self._check(opened[1])
        yield opened[1]
        self._check(opened[1])

    def _check(self, file: FileIO) -> None:
        if not is_still(file.fileno(), self._identity):
            self._opened = None
            raise ValueError(self._changed())

    def read_rows(
        self,
        file: FileIO,
        contigs: Ints,
        before: Ints,
        starts: Ints,
        sizes: Ints,
        rows: Iterable[Row],
    ) -> None:
        """Fill many rows, the short ones among neighbours of a cache by one call.

        Args:
            file: what ``reading`` gave.
            contigs: (B,) their numbers.
            before: (B,) bases of all contigs before each.
            starts: (B,) 0-based positions; the caller has checked the ranges.
            sizes: (B,) bases of each.
            rows: B rows, each at least as long.

        Raises:
            ValueError: as of ``read``.
        """
        if self._bare and len(sizes) > 1 and sizes.max() <= _SHORT:
            self._read_neighbours(file, before + starts, sizes, list(rows))
            return
        each = (column.tolist() for column in (contigs, before, starts, sizes))
        for row, contig, offset, start, size in zip(rows, *each, strict=True):
            self.read(file, contig, offset, start, row[:size])

    def _read_neighbours(
        self, file: FileIO, places: Ints, sizes: Ints, rows: Sequence[Row]
    ) -> None:
        order = np.argsort(places, kind="stable")
        first, size = places[order], sizes[order]
        reach = np.maximum.accumulate(first + size)
        apart = first[1:] > reach[:-1] + _APART
        edges = np.flatnonzero(apart | (np.diff(first >> _PIECE_BITS) > 0)) + 1
        bounds = pairwise([0, *edges.tolist(), len(order)])
        numbers, firsts, sized = order.tolist(), first.tolist(), size.tolist()
        for begin, end in bounds:
            start = firsts[begin]
            bases = np.empty(int(reach[end - 1]) - start, dtype=np.uint8)
            self._fill(file, start, bases)
            for i in range(begin, end):
                at = firsts[i] - start
                rows[numbers[i]][: sized[i]] = bases[at : at + sized[i]]

    def read(self, file: FileIO, contig: int, before: int, start: int, out: Row) -> None:
        """Fill ``out`` with the bases from 0-based ``start`` of a contig.

        Args:
            file: what ``reading`` gave.
            contig: its number.
            before: bases of all contigs before it.
            start: 0-based position; the caller has checked the range.
            out: (n,) uint8, contiguous.

        Raises:
            ValueError: the file ends early or its lines moved: it changed while in use.
        """
        if not len(out):
            return
        if self._bare:
            self._fill(file, before + start, out)
            return
        record = Record("", *self._layout[contig].tolist())
        first = record.byte_of(start)
        raw = np.empty(record.byte_of(start + len(out) - 1) + 1 - first, dtype=np.uint8)
        self._fill(file, first, raw)
        bases = raw.tobytes().translate(None, b"\r\n")
        if len(bases) != len(out):
            raise ValueError(self._changed())
        out[:] = np.frombuffer(bases, dtype=np.uint8)

    def _fill(self, file: FileIO, place: int, out: Row) -> None:
        done = 0
        while done < len(out):
            got = os.preadv(file.fileno(), [out[done:].data], place + done)
            if not got:
                raise ValueError(self._changed())
            done += got

    def _changed(self) -> str:
        return f"{self._path} changed or was truncated while in use; open the genome again"
