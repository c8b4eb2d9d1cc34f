"""Labels: what the user wrote, the fixed numbers that a model learns, and class weights."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnamamba.spelling import closest

__all__ = ["Codec", "Label", "Labels", "strata_of"]

Label = str | tuple[str, ...]
"""A class's name or a number as text; under ``multilabel`` the names that hold."""

_YES_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Labels:
    """What labels mean.

    Attributes:
        kind: ``class``: one name of several; ``multilabel``: any number of names; ``number``:
            regression.
        classes: names in the order of their numbers; None: the names that occur in training,
            sorted (as numbers where all are whole numbers).
        mapping: label as written -> class. Records with any other label, or none, are left
            out and counted in a warning. For ``class`` alone.
        separator: between the names in one field of ``multilabel``; an empty field stands for
            no name at all.

    Raises:
        ValueError: an unknown kind, a class named twice, or an option that its kind excludes.
    """

    kind: Literal["class", "multilabel", "number"] = "class"
    classes: list[str | int] | None = None
    mapping: dict[str, str | int] | None = None
    separator: str = ";"

    def __post_init__(self) -> None:
        # YAML reads an unquoted 0 as a number.
        if self.classes is not None:
            object.__setattr__(self, "classes", [str(name) for name in self.classes])
        if self.mapping is not None:
            mapping = {str(written): str(name) for written, name in self.mapping.items()}
            object.__setattr__(self, "mapping", mapping)
        if self.kind not in ("class", "multilabel", "number"):
            raise ValueError(
                f"labels.kind must be 'class', 'multilabel' or 'number', got {self.kind!r}"
            )
        if self.classes is not None:
            if self.kind == "number":
                raise ValueError("labels.classes has no meaning for labels.kind=number")
            twice = [name for name, count in Counter(self.classes).items() if count > 1]
            if twice:
                raise ValueError(f"labels.classes names {twice[0]!r} twice")
        if self.mapping is not None and self.kind != "class":
            raise ValueError(f"labels.mapping is for labels.kind=class, not {self.kind}")
        if not self.separator:
            raise ValueError("labels.separator must not be empty")

    def parse(self, values: Sequence[str], columns: Sequence[str], where: str) -> Label | None:
        """The label in one or several cells of a record; None where ``mapping`` leaves it out.

        Args:
            values: one cell a column; several columns are 0/1 flags of a ``multilabel``.
            columns: their names.
            where: the record, for errors.

        Raises:
            ValueError: a label is missing, or a flag is neither 0 nor 1.
        """
        if len(columns) > 1:
            return tuple(
                column
                for column, value in zip(columns, values, strict=True)
                if _flag(value, column, where)
            )
        text = values[0].strip()
        if self.kind == "multilabel":
            return tuple(name for part in text.split(self.separator) if (name := part.strip()))
        if self.mapping is not None:
            return str(self.mapping[text]) if text in self.mapping else None
        if not text:
            raise ValueError(
                f"{where}: the label is missing ({columns[0]}); fill it in or remove the record"
            )
        return text


@dataclass(frozen=True)
class Codec:
    """The labels of one training set as numbers, the same for every other set.

    Attributes:
        kind: as in ``Labels``.
        classes: names by number; empty for ``number``.
    """

    kind: Literal["class", "multilabel", "number"]
    classes: tuple[str, ...]

    @classmethod
    def of_training(
        cls, labels: Labels, written: Sequence[Label], columns: Sequence[str] = ()
    ) -> "Codec":
        """Fix names and numbers.

        Args:
            labels: the user's options.
            written: the training labels.
            columns: names of 0/1 columns, which fix the order; of no use to other kinds.

        Raises:
            ValueError: fewer than two classes (for ``multilabel``: none) in training, or a
                class of ``labels.classes`` that does not occur there.
        """
        if labels.kind == "number":
            return cls("number", ())
        names = set(written) if labels.kind == "class" else {n for names in written for n in names}
        counted: set[str] = {str(name) for name in names}
        if labels.kind == "class" and len(counted) < 2:
            shown = f"only the class {counted.pop()!r}" if counted else "no label"
            raise ValueError(
                f"the training examples hold {shown}; at least 2 classes are needed; check "
                "the training files, and where their labels are taken from"
            )
        if not counted:
            raise ValueError("no training example has any of the labels")
        order = list(columns) if len(columns) > 1 else _sorted(counted)
        if labels.classes:
            order = [str(name) for name in labels.classes]
        absent = [name for name in order if name not in counted]
        if absent:
            raise ValueError(
                f"class {absent[0]!r} has no training example; the classes there are "
                f"{', '.join(_sorted(counted))}"
            )
        return cls(labels.kind, tuple(order))

    def encode(self, labels: Sequence[Label], places: Sequence[str]) -> NDArray[Any]:
        """Numbers of labels.

        Returns:
            (n,) int64 for ``class``, (n, C) float32 of 0 and 1 for ``multilabel``, (n,) float32
            for ``number``.

        Raises:
            ValueError: a class that training does not know, or no finite number; names label
                and record.
        """
        if self.kind == "number":
            numbers = [_number(str(x), where) for x, where in zip(labels, places, strict=True)]
            return np.array(numbers, dtype=np.float32)
        number = {name: i for i, name in enumerate(self.classes)}
        for label, where in zip(labels, places, strict=True):
            for name in (label,) if isinstance(label, str) else label:
                if name not in number:
                    raise ValueError(self._unknown(name, where))
        if self.kind == "class":
            return np.array([number[str(label)] for label in labels], dtype=np.int64)
        rows = np.zeros((len(labels), len(self.classes)), dtype=np.float32)
        for row, names in zip(rows, labels, strict=True):
            row[[number[name] for name in names]] = 1
        return rows

    def weights(self, targets: NDArray[Any]) -> NDArray[np.float32]:
        """Weights that make every class count the same, from the training targets.

        Returns:
            (C,) float32: ``n / (C * n_c)`` for ``class``; negatives per positive for
            ``multilabel``, as ``pos_weight`` of ``binary_cross_entropy_with_logits``.

        Raises:
            ValueError: the labels are numbers.
        """
        if self.kind == "number":
            raise ValueError("labels.kind=number has no classes, and so no class weights")
        if self.kind == "multilabel":
            positive = targets.sum(axis=0)
            return ((len(targets) - positive) / positive).astype(np.float32)
        counts = np.bincount(targets, minlength=len(self.classes))
        return (len(targets) / (len(counts) * counts)).astype(np.float32)

    def _unknown(self, name: str, where: str) -> str:
        near = closest(name, self.classes)
        hint = f" (did you mean {near!r}?)" if near else ""
        return (
            f"{where}: label {name!r} does not occur in training, which knows "
            f"{', '.join(self.classes)}{hint}; correct it, map it with labels.mapping, or give "
            "training examples of it"
        )


def strata_of(
    labels: Labels, written: Sequence[Label], places: Sequence[str]
) -> Sequence[Label] | list[int]:
    """What each split should have its share of: classes, sets of names, or tenths by rank.

    Raises:
        ValueError: under ``number``, a label that is none; names the record.
    """
    if labels.kind != "number":
        return written
    numbers = Codec("number", ()).encode(written, places)
    rank = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    tenths: list[int] = (rank * 10 // len(rank)).tolist()
    return tenths


def _flag(value: str, column: str, where: str) -> bool:
    flag = _YES_NO.get(value.strip().lower().removesuffix(".0"))
    if flag is None:
        raise ValueError(f"{where}: column {column!r} must be 0 or 1, got {value!r}")
    return flag


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(
            f"{where}: label {text!r} is no number, as labels.kind=number asks for"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"{where}: label {text!r} is not finite; remove the record")
    return number


def _sorted(names: Iterable[str]) -> list[str]:
    try:
        return sorted(names, key=int)
    except ValueError:
        return sorted(names)
