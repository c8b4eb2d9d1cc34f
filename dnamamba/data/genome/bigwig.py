"""A bigWig that is read: means over regions of a genome, by the genome's names of the contigs."""

import warnings
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from dnamamba import arguments
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.synonyms import Synonyms, spoken
from dnamamba.extras import library

__all__ = ["BigWigReader"]

_MAGIC = (0x888FFC26).to_bytes(4, "little"), (0x888FFC26).to_bytes(4, "big")


class BigWigReader:
    """An open bigWig whose contigs are those of a genome.

    Args:
        path: the file; its name may end in anything.
        genome: what it is a track of.

    Raises:
        ValueError: no bigWig, a damaged one, or one of another assembly: a contig of another
            length, or none that the genome has; names file, contig and remedy.
        ModuleNotFoundError: pybigtools is missing; names the extra.
    """

    def __init__(self, path: str | Path, genome: Genome) -> None:
        self.path = arguments.path("the track", path)
        pybigtools = library("pybigtools", "tracks", "reading bigWig")
        self._file = _opened(self.path)
        try:
            self._track: Any = pybigtools.open(self._file)
            contigs: dict[str, int] = self._track.chroms()
        except Exception as error:
            self._file.close()
            raise ValueError(
                f"{self.path} begins as a bigWig and cannot be read ({error}); it may be cut off: "
                "fetch or write it again"
            ) from error
        try:
            self._names = _matched(self.path, contigs, genome)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def values(self, contig: str, start: int, end: int) -> NDArray[np.float64]:
        """(end - start,) the value of each base, NaN where the track has none.

        Args:
            contig: the genome's name.
            start: 0-based.
            end: exclusive.

        Raises:
            ValueError: the file is damaged; names it.
        """
        name = self._names.get(contig)
        if name is None:
            return np.full(end - start, np.nan)
        try:
            values: NDArray[np.float64] = self._track.values(name, start, end, fillna=None)
        except Exception as error:
            raise ValueError(
                f"{self.path} is damaged at {name}:{start}-{end} ({error}); fetch or write it again"
            ) from error
        return values


def _opened(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"cannot read the track {path}: {error.strerror or error}") from error
    if file.read(4) not in _MAGIC:
        file.close()
        raise ValueError(
            f"{path} is no bigWig; make one of a bedGraph (bedGraphToBigWig, bigtools), or name "
            "another file"
        )
    file.seek(0)
    return file


def _matched(path: Path, contigs: dict[str, int], genome: Genome) -> dict[str, str]:
    """The genome's name of each contig of a track that it has -> the track's."""
    synonyms, names = Synonyms(genome.contigs), dict[str, str]()
    said = False
    for name, length in contigs.items():
        remark = ""
        own = [name] if name in genome.contigs else None
        if own is None:
            own, remark = synonyms.meant(name)
        if len(own) != 1:
            continue
        if genome.contigs[own[0]] != length:
            raise ValueError(
                f"{path} is of another assembly than {genome.name}: its contig {name!r} has "
                f"{length:,} bases, {own[0]!r} of {genome.path} {genome.contigs[own[0]]:,}; name "
                "the FASTA that the track was made of"
            )
        if own[0] != name and not said:
            warnings.warn(spoken(genome.name, name, own[0], remark), stacklevel=4)
            said = True
        names[own[0]] = name
    if not names:
        some = ", ".join(list(contigs)[:3]) or "none"
        hint = synonyms.refusal(next(iter(contigs))) if contigs else "it is empty"
        raise ValueError(
            f"{path} and {genome.path} have no contig in common: the track has {some}; {hint}"
        )
    return names
