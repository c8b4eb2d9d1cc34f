"""Labelled examples of training, validation and test: as given, or divided by seed."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.labelled.codec import strata_of
from dnamamba.data.labelled.examples import Example, Fields, ReadRegions, read_examples
from dnamamba.data.labelled.files import Files
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.splits import (
    Split,
    canonical_digests,
    shared_sequences,
    stratified_parts,
)

__all__ = ["PART_NAMES", "Examples", "leaks", "read_splits"]

Examples = dict[str, list[Example]]
"""``train``, ``validation`` and ``test``; a split without examples is an empty list."""

PART_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test",
}  # fmt: skip
"""What a split is called, in lower case -> its name here."""
_SHARE = 0.1


def read_splits(
    files: Mapping[str, Files | None],
    fields: Fields,
    labels: Labels,
    split: Split,
    regions: ReadRegions | None = None,
) -> tuple[Examples, int]:
    """Read what is given and cut the rest from the training examples.

    Args:
        files: ``train``, and ``validation`` and ``test`` where there are files of them.
        fields: where a record keeps what.
        labels: how labels are written.
        split: how to divide.
        regions: see ``read_examples``.

    Returns:
        The examples, and how many records were left out (see ``Labels.leaves_out``).

    Raises:
        ValueError: no training file, bad files or records, a part given twice, an unknown name in
            the split column, or no training example left.
    """
    named = {name: part for name, part in files.items() if part}
    if "train" not in named:
        raise ValueError("there is nothing to train on; set data.files.train")
    if split.column and len(named) > 1:
        raise ValueError(
            f"split.column={split.column} divides the training files, but there are files for "
            f"{' and '.join(name for name in named if name != 'train')} too; choose one way"
        )
    parts: Examples = {"train": [], "validation": [], "test": []}
    left_out = 0
    for name, part in named.items():
        parts[name], missed = read_examples(part, fields, labels, split.column, regions=regions)
        left_out += missed
    if split.column:
        parts = _by_column(parts["train"], split.column)
    _cut(parts, split, labels)
    if not parts["train"]:
        raise ValueError("no training example is left; there are too few groups to divide")
    return parts, left_out


def leaks(parts: Examples) -> list[str]:
    """What stands in two splits: the same sequence on either strand, or a group."""
    digests = {
        name: canonical_digests([example.sequence for example in part])
        for name, part in parts.items()
    }
    groups = {name: [e.group for e in part if e.group] for name, part in parts.items()}
    copies = [f"sequences (or their reverse complements): {x}" for x in shared_sequences(digests)]
    return copies + [f"records of a shared group: {x}" for x in shared_sequences(groups)]


def _by_column(examples: list[Example], column: str) -> Examples:
    parts: Examples = {"train": [], "validation": [], "test": []}
    for example in examples:
        name = PART_NAMES.get(example.part.lower())
        if name is None:
            raise ValueError(
                f"{example.where}: column {column!r} must be one of {', '.join(PART_NAMES)}, got "
                f"{example.part!r}"
            )
        parts[name].append(example)
    if not parts["train"]:
        raise ValueError(f"{examples[0].where}: no row of column {column!r} says train")
    return parts


def _cut(parts: Examples, split: Split, labels: Labels) -> None:
    """Take the shares that no file and no column gives out of the training examples."""
    alone = not (parts["validation"] or parts["test"])
    shares = {}
    for name, asked in (("validation", split.validation), ("test", split.test or split.folds)):
        if parts[name] and asked:
            raise ValueError(
                f"split asks for a share for {name}, but its examples are given; drop one of them"
            )
        share = getattr(split, name)
        shares[name] = (_SHARE if alone else 0.0) if share is None else share
    if split.folds is not None:
        fold = _assign(parts["train"], [1 / split.folds] * split.folds, split, labels)
        parts["test"] = _take(parts["train"], fold == split.fold)
        parts["train"] = _take(parts["train"], fold != split.fold)
        shares = {"validation": shares["validation"] / (1 - 1 / split.folds)}
    cut = [name for name, share in shares.items() if share and not parts[name]]
    if cut:
        by = [shares[name] for name in cut]
        number = _assign(parts["train"], [1 - sum(by), *by], split, labels)
        for i, name in reversed(list(enumerate(["train", *cut]))):
            parts[name] = _take(parts["train"], number == i)
    for name in cut:
        if not parts[name] and parts["train"]:
            warnings.warn(
                f"{name} is empty, though split asks for a share of {shares[name]:.3g}: there are "
                "too few groups of relatives to divide",
                stacklevel=2,
            )


def _take(examples: list[Example], which: NDArray[np.bool_]) -> list[Example]:
    return [examples[i] for i in np.flatnonzero(which)]


def _assign(
    examples: list[Example], shares: Sequence[float], split: Split, labels: Labels
) -> NDArray[np.int64]:
    groups = [example.group for example in examples]
    if not any(groups):
        groups = canonical_digests([example.sequence for example in examples])
    places = [example.where for example in examples]
    strata = strata_of(labels, [example.label for example in examples], places)
    return stratified_parts(strata, groups, shares, split.seed)
