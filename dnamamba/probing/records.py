"""Labelled sequences for a probe, from a file or from Python; what is wrong is said at once."""

import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dnamamba import arguments
from dnamamba.containers import letters, members, present
from dnamamba.data.labelled.examples import Example, Fields, read_examples
from dnamamba.data.labelled.labels import Label, Labels
from dnamamba.data.labelled.reading import PART_NAMES
from dnamamba.data.labelled.tables import is_table
from dnamamba.missing import is_missing
from dnamamba.probing.written import are_numbers, is_fasta, stem, written_in

__all__ = ["Records", "listed_records", "read_records"]

_log = logging.getLogger(__name__)
_EXPECTED = ".csv, .tsv, .parquet or FASTA, or a folder with one FASTA a class"


class Records(NamedTuple):
    """n labelled sequences.

    Attributes:
        source: what they are from, as a user calls it.
        names: of each, for errors.
        sequences: bases of each.
        labels: of each, as written.
        groups: of each; None where nothing says which belong together.
        settings: what the labels mean.
        columns: names of the columns of labels.
    """

    source: str
    names: list[str]
    sequences: list[bytes]
    labels: list[Label]
    groups: list[str] | None
    settings: Labels
    columns: list[str]


def read_records(
    data: str, fields: Fields, labels: Labels, numbers: bool | None, grouped: bool
) -> Records:
    """Read a labelled table, a FASTA whose headers name labels, or a folder with one a class.

    Args:
        data: the path.
        fields: where a record keeps what; what is as by default is found out.
        labels: what labels mean.
        numbers: whether they are a measure; None: by what is written (see ``are_numbers``).
        grouped: read the column of groups, if there is one.

    Raises:
        ValueError: no such data, no column of sequences or labels, or a bad record; names file
            and record.
        OSError: the file cannot be read.
    """
    path = arguments.path("data", data)
    files = _files(path)
    said = written_in(Path(), files, fields, "name it by --fields")
    of_labels = fields.label if isinstance(fields.label, list) else said.fields.get("label")
    fields = replace(fields, **{**said.fields, "label": of_labels or fields.label})
    if not grouped:
        fields = replace(fields, group=None)
    labels = _settled(labels, said.numbers if numbers is None else numbers)
    examples, left_out = read_examples(files, fields, labels)
    if numbers is None and fields.header:  # which is not seen but by reading
        labels = _settled(labels, are_numbers(str(example.label) for example in examples))
    if said.split:
        _log.info("%s: the column %s is not used; folds are cut from all records", path, said.split)
    if left_out:
        warnings.warn(f"{labels.leaves_out} leaves out {left_out:,} records", stacklevel=2)
    return Records(
        str(path),
        [example.where for example in examples],
        [example.sequence for example in examples],
        [example.label for example in examples],
        _groups_of(examples) if grouped else None,
        labels,
        fields.labels,
    )


def listed_records(X: Any, y: Any, groups: Any, numbers: bool | None) -> Records:
    """The same of n sequences in one of the containers of ``dnamamba.containers``.

    Args:
        X: the sequences.
        y: n labels: text, whole numbers, truth values or numbers.
        groups: n, whose equals stay together; None where nothing says so.
        numbers: see ``read_records``.

    Raises:
        ValueError: no sequence or an empty one, a label or group that is missing, or other numbers
            of them than of sequences; names the item.
    """
    sequences = []
    names = []
    for name, sequence in members(X, "sequence", "sequences"):
        bases = bytes(letters(present(sequence, name), name))
        if not bases:
            raise ValueError(f"{name} is empty; leave it and its label out")
        names.append(name)
        sequences.append(bases)
    if not sequences:
        raise ValueError("expected at least one sequence, got none")
    labels = _texts("y", "labels", y, len(sequences))
    together = None if groups is None else _texts("groups", "groups", groups, len(sequences))
    measure = are_numbers(labels) if numbers is None else numbers
    return Records(
        "y", names, sequences, list(labels), together, _settled(Labels(), measure), ["y"]
    )


def _files(path: Path) -> str | dict[str, str]:
    if not path.is_dir():
        if not (is_table(path) or is_fasta(path)):
            raise ValueError(f"{path} is no labelled data by its name; expected {_EXPECTED}")
        return str(path)
    files = sorted(file for file in path.iterdir() if file.is_file())
    parts = [f for f in files if stem(f).lower() in PART_NAMES and (is_table(f) or is_fasta(f))]
    if parts:
        raise ValueError(
            f"{path} holds parts of a split ({', '.join(part.name for part in parts)}), and a "
            "probe divides what it is given by itself; name one of the files, or use dnamamba "
            "benchmark, which keeps the parts"
        )
    classes = {stem(file): str(file) for file in files if is_fasta(file)}
    if len(classes) < 2:
        held = f"the FASTA of one class, {next(iter(classes))}" if classes else "no FASTA"
        raise ValueError(f"{path} holds {held}; expected {_EXPECTED}, two classes at least")
    return classes


def _settled(labels: Labels, measure: bool) -> Labels:
    plain = labels.kind == "class" and labels.classes is None and labels.mapping is None
    return replace(labels, kind="number") if plain and measure else labels


def _groups_of(examples: list[Example]) -> list[str] | None:
    lacking = [example for example in examples if not example.group]
    if len(lacking) == len(examples):
        return None
    if lacking:
        raise ValueError(
            f"{lacking[0].where}: no group, which other records have; give it one, or set groups "
            "to relatives or none (--groups)"
        )
    return [example.group for example in examples]


def _texts(name: str, plural: str, values: Any, n: int) -> list[str]:
    """One a sequence, as text.

    Raises:
        ValueError: no column of n values, or one of them is missing or of another kind.
    """
    several = getattr(values, "ndim", 1) != 1 or hasattr(values, "columns")
    if several or isinstance(values, str | bytes | Mapping | set | frozenset):
        kind = f"a table of {values.shape}" if several else type(values).__name__
        raise ValueError(f"{name} must be a list, an array or one column of {plural}, got {kind}")
    try:
        items = list(values)
    except TypeError:
        raise ValueError(f"{name} must be a list of {plural}, got {values!r:.60}") from None
    if len(items) != n:
        raise ValueError(f"{name} holds {len(items):,} {plural} for {n:,} sequences; give one each")
    return [_text(f"{name}[{i}]", item) for i, item in enumerate(items)]


def _text(name: str, value: Any) -> str:
    if hasattr(value, "as_py"):  # pyarrow
        value = value.as_py()
    elif hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # NumPy, PyTorch
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    is_nan = isinstance(value, float) and math.isnan(value)
    absent = value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")
    if absent or (isinstance(value, str) and is_missing(value)):
        raise ValueError(f"{name} is missing ({value!r}); fill it in, or leave its sequence out")
    if isinstance(value, float):
        return f"{int(value)}" if value.is_integer() else repr(value)
    if not isinstance(value, str | int):
        raise ValueError(f"{name} must be text or a number, got {value!r:.60}")
    return str(value).strip()
