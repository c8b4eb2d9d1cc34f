"""What letters occur in a genome, counted block by block as its bases pass."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import LETTERS, why_refused

__all__ = ["Census"]

_CERTAIN = b"ACGTUacgtu"
_AMBIGUOUS = np.array([b in LETTERS and b not in _CERTAIN for b in range(256)])
_PLAIN = b"ACGTacgt"
_SHORT = 1 << 16  # bases: shorter blocks of plain ones are counted together
_NOTED = [b for b in LETTERS if b not in b"ACGTNacgtn"]


class Census:
    """What occurs in a genome.

    Attributes:
        noted: letter -> contig's name -> 0-based position of its first occurrence; for the
            letters that a tokenizer's policy may refuse (U and the IUPAC codes).
        total: bases so far.
    """

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(256, np.int64)
        self._uncounted = bytearray()
        self.noted: dict[str, dict[str, int]] = {}
        self.total = 0
        self._runs: list[NDArray[np.int64]] = []

    @property
    def counts(self) -> NDArray[np.int64]:
        """(256,) int64, how often each byte occurs."""
        self._count(b"")
        return self._counts

    @property
    def runs(self) -> NDArray[np.int64]:
        """(k, 2) int64, half-open runs of bases that are not A, C, G, T or U, ascending.

        They are offsets into all contigs laid end to end.
        """
        return np.concatenate([np.empty((0, 2), np.int64), *self._runs])

    def add(self, bases: bytes, contig: str, base: int, shown: Path) -> None:
        """Count a block of bare bases.

        Args:
            bases: the next of the genome.
            contig: the record they are of.
            base: 0-based position of the first of them.
            shown: the path the user gave, for errors.

        Raises:
            ValueError: a byte that is no nucleotide; names record and 0-based position.
        """
        if len(bases) < _SHORT and not bases.translate(None, _PLAIN):
            self._uncounted += bases
            if len(self._uncounted) >= _SHORT:
                self._count(b"")
            self.total += len(bases)
            return
        if foreign := bases.translate(None, LETTERS):
            at = min(bases.find(byte) for byte in set(foreign))
            raise ValueError(
                f"{shown}: {contig}, position {base + at:,} (0-based): {_refusal(bases[at])}"
            )
        letters, counts = self._count(bases)
        for letter in _NOTED:
            if counts[letter]:
                first = self.noted.setdefault(chr(letter), {})
                first.setdefault(contig, base + bases.find(letter))
        if counts[_AMBIGUOUS].any():
            edges = np.flatnonzero(np.diff(_AMBIGUOUS[letters], prepend=False, append=False))
            self._runs.append(edges.reshape(-1, 2) + self.total)
        self.total += len(bases)

    def _count(self, bases: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Count what stands by, and these; the latter as numbers, and how often each occurs."""
        waiting, self._uncounted = self._uncounted, bytearray()
        self._counts += np.bincount(np.frombuffer(waiting, np.uint8), minlength=256)
        letters = np.frombuffer(bases, np.uint8)
        counts = np.bincount(letters, minlength=256)
        self._counts += counts
        return letters, counts


def _refusal(byte: int) -> str:
    why = why_refused(byte)
    if byte in b" \t":
        return f"{why}; remove white space from the bases (sed '/^>/!s/[[:blank:]]//g')"
    return why
