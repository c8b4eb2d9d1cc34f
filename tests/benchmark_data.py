"""Small labelled sequences for the tests of tasks."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["bases", "fasta", "mutated", "records", "table"]

_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def bases(rng: np.random.Generator, length: int) -> str:
    """Random ones."""
    return "".join(rng.choice(list("ACGT"), length))


def mutated(rng: np.random.Generator, sequence: str, rate: float, reverse: bool = False) -> str:
    """With so many bases drawn anew, and maybe from the other strand."""
    letters = [b if rng.random() >= rate else str(rng.choice(list("ACGT"))) for b in sequence]
    text = "".join(letters)
    return text.translate(_COMPLEMENT)[::-1] if reverse else text


def records(n: int, length: int = 60, seed: int = 0) -> list[tuple[str, str]]:
    """Sequences and labels, 0 and 1 in turn."""
    rng = np.random.default_rng(seed)
    return [(bases(rng, length), str(i % 2)) for i in range(n)]


def table(path: Path, rows: Sequence[Sequence[object]], *header: str) -> Path:
    """A CSV or TSV, compressed where its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    tabs = path.name.removesuffix(".gz").endswith(".tsv")
    writer = csv.writer(text, delimiter="\t" if tabs else ",", lineterminator="\n")
    writer.writerow(header or ("sequence", "label"))
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def fasta(path: Path, sequences: Sequence[str], header: str = "{name}{i}") -> Path:
    """One record a sequence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [
        f">{header.format(name=path.stem, i=i)}\n{sequence}\n"
        for i, sequence in enumerate(sequences)
    ]
    path.write_text("".join(shown))
    return path
