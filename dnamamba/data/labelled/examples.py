"""Labelled sequences as they stand in tables and FASTA files, record by record."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dnamamba.data.genome.source import old_mac
from dnamamba.data.genome.text import LONGEST_SEQUENCE_LINE, damage_first, text_lines
from dnamamba.data.labelled.files import Files, listed_files
from dnamamba.data.labelled.labels import Label, Labels
from dnamamba.data.labelled.rows import name_of
from dnamamba.data.labelled.tables import is_table, read_rows
from dnamamba.missing import is_missing

__all__ = ["Example", "Fields", "ReadRegions", "read_examples", "read_fasta"]

_BED = (".bed", ".bed.gz", ".bed.bgz")


class Example(NamedTuple):
    """One record.

    Attributes:
        where: file and line or record, for errors.
        id: from the table's id column or the FASTA header; else ``file:line``.
        sequence: bases, as written.
        label: empty where none is asked for.
        group: relatives share it; empty without a group column.
        part: the text of the split column; empty without one.
    """

    where: str
    id: str
    sequence: bytes
    label: Label = ""
    group: str = ""
    part: str = ""


ReadRegions = Callable[[Path, bool], Iterator[Example | None]]
"""A BED, and whether labels are asked for -> its regions; None for one that is left out."""


@dataclass(frozen=True)
class Fields:
    """Where a record keeps what.

    Attributes:
        sequence: the table's column of bases.
        label: its column of labels; several columns are the 0/1 flags of a multi-label set.
        group: its column that relatives share; None where there is none.
        id: its column of unique names; None: a record is called ``file:line``.
        header: a regular expression searched in each FASTA header (without ``>``), whose named
            group ``label`` is the label, and ``group``, if it has one, the group:
            ``class=(?P<label>\\w+)``.

    Raises:
        ValueError: no label column, or a regular expression that does not compile or has no
            group named ``label``.
    """

    sequence: str = "sequence"
    label: str | list[str] = "label"
    group: str | None = None
    id: str | None = None
    header: str | None = None

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("fields.label names no column")
        if self.header is None:
            return
        try:
            pattern = re.compile(self.header)
        except re.error as error:
            raise ValueError(f"fields.header {self.header!r}: {error}") from error
        if "label" not in pattern.groupindex:
            raise ValueError(
                f"fields.header {self.header!r} has no group named label; "
                "write it as class=(?P<label>\\w+)"
            )

    @property
    def labels(self) -> list[str]:
        """The columns of labels."""
        return [self.label] if isinstance(self.label, str) else self.label


def read_examples(
    files: Files,
    fields: Fields,
    labels: Labels | None,
    part_column: str | None = None,
    skip: bool = False,
    regions: ReadRegions | None = None,
) -> tuple[list[Example], int]:
    """Read every record of a set of files.

    Args:
        files: what to read.
        fields: where a record keeps what.
        labels: how labels are written; None for records without labels.
        part_column: a table's column that names the split.
        skip: leave records without a sequence out, as ``labels.missing=skip`` does. (A FASTA has
            no missing values: there NA is the bases N, A.)

    Returns:
        The records, and how many were left out.

    Raises:
        ValueError: a file that cannot be read or is listed twice, a record without bases or
            label, an id that stands twice, or no record at all; names file and record.
    """
    skip = skip or (labels is not None and labels.missing == "skip")
    examples: list[Example] = []
    left_out = 0
    known: dict[str, str] = {}
    for path, name in listed_files(files):
        with damage_first(path):
            if is_table(path):
                if name is not None:
                    raise ValueError(f"{path}: one file a class must be FASTA, not a table")
                records = _from_table(path, fields, labels, part_column, skip)
            elif path.name.lower().endswith(_BED):
                if regions is None:
                    raise ValueError(
                        f"{path} names regions; set data.signal to their genome and the track that "
                        "labels them, or give a table or FASTA"
                    )
                records = regions(path, labels is not None)
            else:
                records = _from_fasta(path, fields, labels, name)
            for example in records:
                if example is None:
                    left_out += 1
                else:
                    _check(example, known)
                    examples.append(example)
    if not examples:
        raise ValueError(f"{_shown(files)}: no record{' is left' if left_out else ''}")
    return examples, left_out


def _check(example: Example, known: dict[str, str]) -> None:
    """Note where its id stands. Raises: ValueError: no bases, or an id that stands elsewhere."""
    if not example.sequence:
        raise ValueError(f"{example.where}: the sequence is empty; remove the record")
    if (first := known.setdefault(example.id, example.where)) != example.where:
        raise ValueError(
            f"{example.where}: the id {example.id!r} stands at {first} too; ids must be "
            "unique: rename one"
        )


def read_fasta(path: Path) -> Iterator[tuple[str, bytes]]:
    """Header (without ``>``) and bases of each record; lines of any width.

    Raises:
        ValueError: the file is damaged, does not start with a header, or has lines that end in
            CR alone.
    """
    header = ""
    pieces: list[str] = []
    for number, line in enumerate(text_lines(path, LONGEST_SEQUENCE_LINE), 1):
        text = line.strip()
        if "\r" in text:
            raise ValueError(old_mac(path))
        if text.startswith(">"):
            if header:
                yield header, "".join(pieces).encode("latin-1", "replace")
            header, pieces = text[1:].strip(), []
            if not header:
                raise ValueError(f"{path}, line {number}: header without a name")
        elif header:
            pieces.append(text)
        elif text and not text.startswith(";"):
            raise ValueError(
                f"{path}, line {number}: expected FASTA, a header that begins with '>', or a "
                f"table named .csv, .tsv or .parquet; got {text[:20]!r}"
            )
    if header:
        yield header, "".join(pieces).encode("latin-1", "replace")


def _shown(files: Files) -> str:
    return ", ".join(str(path) for path, _ in listed_files(files)) or "no file"


def _from_table(
    path: Path, fields: Fields, labels: Labels | None, part_column: str | None, skip: bool
) -> Iterator[Example | None]:
    label_columns = fields.labels if labels is not None else []
    optional = (fields.group, fields.id, part_column)
    columns = [fields.sequence, *label_columns, *(name for name in optional if name)]
    for where, values in read_rows(path, columns):
        cells = iter(values)
        sequence = next(cells)
        written = [next(cells) for _ in label_columns]
        group, name, part = (next(cells) if column else "" for column in optional)
        label = labels.parse(written, label_columns, where) if labels is not None else ""
        relations = ((fields.group, "group", group), (part_column, "split", part))
        lacking = [cell for cell in relations if cell[0] and is_missing(cell[2])]
        if label is None or (skip and (lacking or is_missing(sequence))):
            yield None
            continue
        for column, role, cell in lacking:
            raise ValueError(_lacks(where, f"column {column!r} (the {role})", cell))
        if fields.id and is_missing(name):
            state = f"a missing value, {name!r}" if name else "empty"
            raise ValueError(
                f"{where}: column {fields.id!r} (the id) is {state}; fill it in, remove the "
                "record, or leave fields.id out"
            )
        if is_missing(sequence):
            raise ValueError(_lacks(where, "the sequence", sequence))
        name = name or name_of(path, where)
        yield Example(where, name, sequence.encode("latin-1", "replace"), label, group, part)


def _lacks(where: str, what: str, cell: str) -> str:
    state = f"a missing value, {cell!r}" if cell else "empty"
    return (
        f"{where}: {what} is {state}; remove the record, or set labels.missing=skip to leave such "
        "records out"
    )


def _from_fasta(
    path: Path, fields: Fields, labels: Labels | None, label: str | None
) -> Iterator[Example | None]:
    pattern = re.compile(fields.header) if fields.header else None
    if labels is not None and label is None and pattern is None and path.exists():
        raise ValueError(
            f"{path}: where are the labels? Give one FASTA a class (name: file), set "
            "fields.header to a regular expression, or use a table"
        )
    for number, (header, sequence) in enumerate(read_fasta(path), 1):
        name = header.split(maxsplit=1)[0]
        where = f"{path}, record {number} ({name})"
        group, written = "", label
        if labels is not None and pattern is not None:
            match = pattern.search(header)
            if match is None and label is None:
                raise ValueError(f"{where}: fields.header does not match {header!r}")
            named: Mapping[str, str | None] = match.groupdict() if match else {}
            group = named.get("group") or ""
            written = label if label is not None else named["label"]
        if labels is None:
            yield Example(where, name, sequence)
            continue
        if label:  # the user's own name for the file, whatever it is
            parsed = labels.named(label.strip())
        else:
            parsed = labels.parse([written or ""], ["label"], where)
        yield None if parsed is None else Example(where, name, sequence, parsed, group)
