"""Files with a group of relatives beside each sequence, made from those of the data folder."""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from relatives import groups_of, sketch

from dnamamba.data.labelled.examples import read_fasta
from dnamamba.data.labelled.tables import read_rows
from dnamamba.files import replacing

__all__ = ["prepare"]

CLASSES = ("amphibians", "birds", "fish", "mammals", "reptiles")
MITOGENOMES = "species/mitogenomes.grouped.fa.gz"
PROMOTERS = "benchmarks/genomic_benchmarks/human_nontata_promoters.grouped.csv.gz"


def prepare(data: Path, output: Path) -> None:
    """Write both files below ``output``, which may be the data folder."""
    _mitogenomes(data, output / MITOGENOMES)
    _promoters(data, output / PROMOTERS)


def _mitogenomes(data: Path, output: Path) -> None:
    """One FASTA of all classes; the header names class and group."""
    folder = data / "species" / "vertebrate_mitogenomes"
    records = [
        (name, header.split()[0], bases)
        for name in CLASSES
        for header, bases in read_fasta(folder / f"{name}.fa.gz")
    ]
    groups = groups_of([sketch(bases, one_of=32) for *_, bases in records])
    _say("mitogenomes", groups, [name for name, *_ in records])
    text = "".join(
        f">{id} class={name} group=g{group}\n{bases.decode()}\n"
        for group, (name, id, bases) in zip(groups, records, strict=True)
    )
    _write(output, text)


def _promoters(data: Path, output: Path) -> None:
    """The table with a column more."""
    table = data / "benchmarks" / "genomic_benchmarks" / "human_nontata_promoters.test.csv.gz"
    rows = [row.values for row in read_rows(table, ["seq", "label"])]
    groups = groups_of([sketch(sequence.encode()) for sequence, _ in rows])
    _say("promoters", groups, [label for _, label in rows])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["seq", "label", "group"])
    writer.writerows([*row, f"g{group}"] for row, group in zip(rows, groups, strict=True))
    _write(output, text.getvalue())


def _say(what: str, groups: Sequence[int], labels: Sequence[str]) -> None:
    sizes = Counter(groups)
    mixed = {group for group, _ in set(zip(groups, labels, strict=True))}
    several = len(set(zip(groups, labels, strict=True))) - len(mixed)
    related = Counter(
        label for group, label in zip(groups, labels, strict=True) if sizes[group] > 1
    )
    print(
        f"{what}: {len(groups):,} in {len(sizes):,} groups, the largest of {max(sizes.values())}; "
        f"{several} groups of several labels; with a relative: "
        + ", ".join(f"{related[label]:,} of {n:,} {label}" for label, n in Counter(labels).items())
    )


def _write(output: Path, text: str) -> None:
    with replacing(output) as file:
        file.write(gzip.compress(text.encode(), 9, mtime=0))
