"""Labels as the fixed numbers that a model learns, and class weights."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.labelled.alike import appearance, differing, look_alike
from dnamamba.data.labelled.cells import bare, number, one_spelling, sorted_names
from dnamamba.data.labelled.labels import Label, Labels, names_of
from dnamamba.spelling import closest

__all__ = ["Codec", "strata_of"]

_SEVERAL = 8  # examples of the largest class from which a class of one is remarkable


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

        Warns:
            UserWarning: two classes that look alike (see ``alike.appearance``), which stay two,
                or a class with a single example beside larger ones.
        """
        if labels.kind == "number":
            return cls("number", ())
        names = [name for label in written for name in names_of(label)]
        called = one_spelling(names, map(str, labels.classes or ()))
        counted = Counter(called[name] for name in names)
        if labels.kind == "class" and len(counted) < 2:
            shown = f"only the class {next(iter(counted))!r}" if counted else "no label"
            raise ValueError(
                f"the training examples hold {shown}; at least 2 classes are needed; check "
                "the training files, and where their labels are taken from"
            )
        if not counted:
            raise ValueError("no training example has any of the labels")
        order = list(columns) if len(columns) > 1 else sorted_names(counted)
        if labels.classes:
            order = [str(name) for name in labels.classes]
        absent = [name for name in order if name not in counted]
        if absent:
            raise ValueError(
                f"class {absent[0]!r} has no training example; the classes there are "
                f"{', '.join(sorted_names(counted))}{_alike_hint(absent[0], counted)}"
            )
        if len(columns) < 2:
            _warn_of_likely_slips(counted)
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
            numbers = [number(str(x), where) for x, where in zip(labels, places, strict=True)]
            return np.array(numbers, dtype=np.float32)
        column = self._columns(labels, places)
        if self.kind == "class":
            return np.array([column[str(label)] for label in labels], dtype=np.int64)
        rows = np.zeros((len(labels), len(self.classes)), dtype=np.float32)
        for row, names in zip(rows, labels, strict=True):
            row[[column[name] for name in names]] = 1
        return rows

    def _columns(self, labels: Sequence[Label], places: Sequence[str]) -> dict[str, int]:
        """The number of every name that occurs."""
        column = {name: i for i, name in enumerate(self.classes)}
        for name, known in one_spelling(
            (name for label in labels for name in names_of(label)), self.classes
        ).items():
            if known in column and name not in column:
                column[name] = column[known]
                if bare(name) != bare(known):
                    warnings.warn(
                        f"label {name!r} is read as {known!r}, the same number; if they are two "
                        "classes, list both in labels.classes",
                        stacklevel=2,
                    )
        for label, where in zip(labels, places, strict=True):
            for name in names_of(label):
                if name not in column:
                    raise ValueError(self._unknown(name, where))
        return column

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
        hint = _alike_hint(name, self.classes) or hint
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
    if labels.kind == "class":
        called = one_spelling(map(str, written))
        return [called[str(label)] for label in written]
    if labels.kind == "multilabel":
        return written
    numbers = Codec("number", ()).encode(written, places)
    rank = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    tenths: list[int] = (rank * 10 // len(rank)).tolist()
    return tenths


def _alike_hint(name: str, known: Iterable[str]) -> str:
    """Where a name and a known one cannot be told apart in an error."""
    near = look_alike(name, known)
    how = "" if near is None else differing(near, name)
    return f" (it differs from {near!r} by {how} alone)" if "signs" in how else ""


def _warn_of_likely_slips(counted: Counter[str]) -> None:
    """Classes that are probably another one, written differently."""
    alike: dict[str, str] = {}
    for name in sorted_names(counted):
        first = alike.setdefault(appearance(name), name)
        if first != name:
            warnings.warn(
                f"classes {first!r} and {name!r} differ by {differing(first, name)} alone; if they "
                "are one class, correct the labels or map both to one name with labels.mapping",
                stacklevel=2,
            )
    single = [name for name, count in counted.items() if count == 1]
    if single and max(counted.values()) >= _SEVERAL:
        warnings.warn(
            f"a single training example has the class {', '.join(map(repr, single[:5]))}"
            f"{f' (and {len(single) - 5} more)' if len(single) > 5 else ''}; is it a slip of the "
            "pen? Nothing can be learnt from one example: correct it, or leave it out with "
            "labels.mapping",
            stacklevel=2,
        )
