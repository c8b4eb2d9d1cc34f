"""``Genome``: a FASTA opened for random access, right under fork, spawn and threads."""

import operator
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnamamba import arguments
from dnamamba.alphabet import Tokenizer, complement_bases
from dnamamba.data.genome.assemblies import located
from dnamamba.data.genome.build import open_cache
from dnamamba.data.genome.names import nearest_name
from dnamamba.data.genome.places import default_cache_dir
from dnamamba.data.genome.pread import BasesFile
from dnamamba.data.genome.seal import file_hash

__all__ = ["Genome"]

Ints = NDArray[np.int64]


class Genome:
    """The bases of a FASTA file (plain, bgzip or gzip), fetched window by window.

    The first use indexes and checks the file and writes its bare bases into a cache; later uses
    open in milliseconds while the file keeps its size, times and inode. A read takes
    the memory of its windows and no more. Files beside the FASTA (``.fai``, ``.gzi``) are neither
    read nor written. Reads are stateless (``pread``), and the file is opened anew in every
    process, so a genome may be shared by threads, forked and pickled at any time.

    Coordinates are 0-based and half-open, as in BED. Records without bases are skipped, with a
    warning.

    Args:
        path: the FASTA file, or the name of a reference that has been fetched, as hg38.
        cache_dir: where caches lie; ``$DNAMAMBA_CACHE``, else ``~/.cache/dnamamba``. A cache
            takes one byte a base. Without room for it a plain FASTA is read by its index, at
            about a third of the speed, and its lines must have one width; a compressed one is
            refused. Caches of other users, but for root's, are not read, and one whose bases were
            changed is built again.

    Attributes:
        path: the FASTA file.
        name: its file name without endings: what windows of several genomes are told apart by.
        contigs: contig -> length in bases, in the file's order. A contig's number is its place
            in this order.
        contig_names: their names, by these numbers.

    Raises:
        ValueError: the file is missing, damaged, no FASTA, or holds what is no nucleotide; names
            the file, the record, the 0-based position and a remedy.
    """

    def __init__(self, path: str | Path, cache_dir: str | Path | None = None) -> None:
        self.path = Path(located(arguments.path("the FASTA", path))).absolute()
        folder = default_cache_dir()
        if cache_dir is not None:
            folder = arguments.path("cache_dir", cache_dir).absolute()
        self._contents, self._cache = open_cache(self.path, folder)
        self.name = _stem(self.path)
        self._lengths = self._contents.layout[:, 0]
        self._offsets = np.cumsum(self._lengths) - self._lengths
        self.contigs = dict(zip(self._contents.names, self._lengths.tolist(), strict=True))
        self.contig_names = self._contents.names
        self._numbers = {name: number for number, name in enumerate(self.contigs)}
        bare = self._contents.has_bases
        self._bases = BasesFile(
            self._cache if bare else self.path,
            self._contents.file if bare else self._contents.source,
            self._contents.layout,
            bare,
        )
        self._warn(folder)

    def fetch(self, contig: str, start: int, end: int, strand: Literal["+", "-"] = "+") -> bytes:
        """Bases [start, end) of a contig, case and IUPAC codes kept.

        On the minus strand they are those of the opposite strand, read 5' to 3'; the complement
        of U is A.

        Raises:
            ValueError: an unknown contig or strand, coordinates that are no integers or out of
                range, or a source that changed while in use.
        """
        number = self.number(contig)
        try:
            first, last = operator.index(start), operator.index(end)
        except TypeError as error:
            raise ValueError(
                f"{self.name} {contig}: start and end must be integers, got {start!r}, {end!r}"
            ) from error
        if strand not in ("+", "-"):
            raise ValueError(f"strand must be '+' or '-', got {strand!r}")
        self._check_range(contig, first, last)
        out = np.empty(last - first, dtype=np.uint8)
        with self._bases.reading() as file:
            self._bases.read(file, number, int(self._offsets[number]), first, out)
        bases = out.tobytes()
        return bases if strand == "+" else complement_bases(bases)[::-1]

    def read_into(
        self, contigs: ArrayLike, starts: ArrayLike, lengths: ArrayLike, out: NDArray[np.uint8]
    ) -> None:
        """Bases of a batch of windows on the plus strand: the loader's fast path.

        Args:
            contigs: (B,) integers, numbers of contigs (see ``contigs``).
            starts: (B,) integers, 0-based.
            lengths: (B,) integers, or one for all: bases to read, at most L.
            out: (B, L) uint8, each row contiguous; ``out[i, :lengths[i]]`` is written, the rest
                of a row is left as it is.

        Raises:
            ValueError: a window out of its contig or of ``out``, or a source that changed.
        """
        number, first, size = _integers(contigs, starts, lengths)
        if number.shape != out.shape[:1] or out.ndim != 2 or out.dtype != np.uint8:
            raise ValueError(
                f"{number.size} windows for {len(out)} rows: out must be (B, L) uint8 with a row "
                f"for each window, got {out.shape} {out.dtype}"
            )
        self._read(number, first, size, out, out.shape[1])

    def read_joined(
        self, contigs: ArrayLike, starts: ArrayLike, lengths: ArrayLike
    ) -> NDArray[np.uint8]:
        """Bases of a batch of windows, end to end: ``read_into`` without its ``out``.

        Args:
            contigs: (B,) integers, numbers of contigs (see ``contigs``).
            starts: (B,) integers, 0-based.
            lengths: (B,) integers, or one for all.

        Raises:
            ValueError: see ``read_into``.

        Returns:
            (sum of the lengths,) uint8.
        """
        number, first, size = _integers(contigs, starts, lengths)
        ends = np.cumsum(size)
        out = np.empty(max(0, int(size.sum())), dtype=np.uint8)
        bounds = zip((ends - size).tolist(), ends.tolist(), strict=True)
        rows = [out[start:end] for start, end in bounds]
        self._read(number, first, size, rows, int(size.max(initial=0)))
        return out

    def count_ambiguous(
        self, contigs: ArrayLike, starts: ArrayLike, lengths: ArrayLike
    ) -> NDArray[np.int64]:
        """How many bases of each window are N or another IUPAC code, without reading the windows.

        Args:
            contigs: (B,) integers, numbers of contigs.
            starts: (B,) integers, 0-based.
            lengths: (B,) integers, or one for all.

        Returns:
            (B,) int64.
        """
        runs = self._contents.runs(self._cache)
        if not len(runs):
            return np.zeros(np.broadcast(contigs, starts, lengths).shape, dtype=np.int64)
        before = np.concatenate([[0], np.cumsum(runs[:, 1] - runs[:, 0])])
        first = self._offsets[np.asarray(contigs)] + np.asarray(starts)

        def up_to(place: NDArray[np.int64]) -> NDArray[np.int64]:
            run = np.searchsorted(runs[:, 0], place, side="right")
            over = np.maximum(runs[run - 1, 1] - place, 0) * (run > 0)
            return before[run] - over

        return up_to(first + np.asarray(lengths)) - up_to(first)

    @property
    def ambiguous_runs(self) -> NDArray[np.int64]:
        """(k, 2) int64, half-open runs of N and other IUPAC codes, ascending; some may touch.

        They are offsets into all contigs laid end to end.
        """
        return self._contents.runs(self._cache)

    def check(self, tokenizer: Tokenizer, contigs: list[str] | None = None) -> None:
        """Refuse at once what the tokenizer's policy would refuse in some window later.

        Args:
            tokenizer: its policies for U and the IUPAC codes are the ones applied.
            contigs: names of the contigs that will be read; None for all.

        Raises:
            ValueError: an unknown contig, or a contig with such a letter; names the letter's
                first position and the flag.
        """
        for contig in contigs or ():
            self.number(contig)
        for letter, first in self._contents.noted.items():
            if tokenizer.accepts(ord(letter)):
                continue
            for contig in first if contigs is None else contigs:
                if contig in first:
                    why = tokenizer.refusal(ord(letter), contig, first[contig])
                    raise ValueError(f"{self.path}: {why}")

    def verify(self) -> None:
        """Read the FASTA and its cache in full and compare their hashes with the first reading's.

        Catches what size, times and inode do not tell, as a damaged disk. (A cache that was
        changed, or only touched or copied, has been hashed when the genome was opened.)

        Raises:
            ValueError: one of them is not what it was.
        """
        if file_hash(self.path) != self._contents.source_hash:
            raise ValueError(
                f"{self.path} is no longer the file that was indexed, though its size and time "
                f"are unchanged; delete {self._cache} and open the file again"
            )
        if self._contents.has_bases:
            bases_hash = file_hash(self._cache, self._contents.total)
            if bases_hash != self._contents.bases_hash:
                raise ValueError(f"the cache {self._cache} is damaged; delete it")

    @property
    def digest(self) -> str:
        """BLAKE2b of all bases, case kept, in hexadecimal; taken when the file was indexed."""
        return self._contents.bases_hash

    @property
    def letters(self) -> bytes:
        """The letters that occur in the genome, ascending: ``Tokenizer.encode_into`` asks."""
        return bytes(byte for byte, count in enumerate(self._contents.counts) if count)

    def number(self, contig: str) -> int:
        """A contig's number, its place in ``contigs``.

        Raises:
            ValueError: there is no such contig; suggests the nearest name.
        """
        try:
            return self._numbers[contig]
        except KeyError:
            raise ValueError(self._unknown(contig)) from None

    def __repr__(self) -> str:
        bases = f"{self._contents.total:,} bases"
        return f"Genome({str(self.path)!r}: {len(self.contigs):,} contigs, {bases})"

    def _warn(self, folder: Path) -> None:
        skipped, total = self._contents.skipped, self._contents.total
        if skipped:
            warnings.warn(
                f"{self.path}: {len(skipped)} of {len(skipped) + len(self.contigs)} records are "
                f"empty and are skipped (the first: {skipped[0]!r})",
                stacklevel=3,
            )
        if not self._contents.has_bases:
            warnings.warn(
                f"{self.path}: no room for its cache ({total / 1e6:,.0f} MB in {folder}), so each "
                "read goes to the FASTA, which is slower; make room, or name another place with "
                "cache_dir or $DNAMAMBA_CACHE",
                stacklevel=3,
            )

    def _check_range(self, contig: str, start: int, end: int) -> None:
        length = self.contigs[contig]
        if not 0 <= start < end <= length:
            raise ValueError(
                f"{self.name} {contig}:{start}-{end} is no range in a contig of {length:,} bases; "
                f"expected 0 <= start < end <= {length} (0-based, half-open)"
            )

    def _read(
        self, number: Ints, first: Ints, size: Ints, rows: Iterable[NDArray[np.uint8]], columns: int
    ) -> None:
        """Fill rows of at most ``columns`` bytes with windows, which are checked first."""
        self._check_batch(number, first, size, columns)
        with self._bases.reading() as file:
            self._bases.read_rows(file, number, self._offsets[number], first, size, rows)

    def _check_batch(self, number: Ints, first: Ints, size: Ints, columns: int) -> None:
        bad = (number < 0) | (number >= len(self._lengths))
        room = self._lengths[np.where(bad, 0, number)]
        bad |= (first < 0) | (size < 0) | (first + size > room) | (size > columns)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{self.name}: row {row} asks for {size[row]} bases from {first[row]} of contig "
                f"number {number[row]} ({room[row]:,} bases) into {columns} columns"
            )

    def _unknown(self, contig: str) -> str:
        contig = str(contig)
        return f"{self.path} has no contig {contig!r}; {nearest_name(contig, self.contigs)}"


def _integers(*columns: ArrayLike) -> list[Ints]:
    """As arrays of one length."""
    arrays = np.broadcast_arrays(*columns)
    if arrays[0].size and any(column.dtype.kind not in "iu" for column in arrays):
        raise ValueError("contigs, starts and lengths must be integers")
    return [column.astype(np.int64) for column in arrays]


def _stem(path: Path) -> str:
    return re.sub(r"(?i)(.)(\.(fa|fasta|fna|fas))?(\.b?gz)?$", r"\1", path.name)
