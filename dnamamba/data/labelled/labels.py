"""Labels as the user wrote them, and what they mean."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dnamamba.data.labelled.cells import bare, flag
from dnamamba.missing import is_missing

__all__ = ["Label", "Labels", "names_of"]

Label = str | tuple[str, ...]
"""A class's name or a number as text; under ``multilabel`` the names that hold."""


@dataclass(frozen=True)
class Labels:
    """What labels mean.

    Attributes:
        kind: ``class``: one name of several; ``multilabel``: any number of names; ``number``:
            regression.
        classes: names in the order of their numbers; None: the names that occur in training,
            sorted (as numbers where all are whole numbers). A number that is written in several
            ways (0, 0.0) is one class, called by the shortest; names listed here stay apart.
        mapping: label as written -> class. Records with any other label, or none, are left
            out and counted in a warning. For ``class`` alone.
        separator: between the names in one field of ``multilabel``; an empty field stands for
            no name at all.
        missing: what becomes of a record whose label, or in a table whose sequence, group or
            cell of the split column, is a missing value (empty, NA, N/A, NaN, null, None or '.',
            in either case, unless ``classes`` or ``mapping`` names it): it is refused
            (``error``), or left out and counted in a warning (``skip``).

    Raises:
        ValueError: an unknown kind, a class named twice, or an option that its kind excludes.
    """

    kind: Literal["class", "multilabel", "number"] = "class"
    classes: list[str | int] | None = None
    mapping: dict[str, str | int] | None = None
    separator: str = ";"
    missing: Literal["error", "skip"] = "error"

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
        if self.missing not in ("error", "skip"):
            raise ValueError(f"labels.missing must be 'error' or 'skip', got {self.missing!r}")

    @property
    def leaves_out(self) -> str:
        """The settings by which records are left out."""
        skips = ["labels.missing=skip"] if self.missing == "skip" else []
        maps = ["labels.mapping"] if self.mapping is not None or not skips else []
        return " and ".join(maps + skips)

    def parse(self, values: Sequence[str], columns: Sequence[str], where: str) -> Label | None:
        """The label in one or several cells of a record; None where the record is left out.

        Args:
            values: one cell a column; several columns are 0/1 flags of a ``multilabel``.
            columns: their names.
            where: the record, for errors.

        Raises:
            ValueError: a label is missing, or a flag is neither 0 nor 1.
        """
        if len(columns) > 1:
            if self.missing == "skip" and any(map(is_missing, values)):
                return None
            flags = zip(columns, values, strict=True)
            return tuple(column for column, value in flags if flag(value, column, where))
        text = values[0].strip()
        label = self.named(text)
        if label is None or not self._is_missing(label):
            return label
        if self.missing == "skip":
            return None
        if self.kind == "number" and text:
            return text  # what is wrong with it is said where it should become a number
        shown, remedy = columns[0], ""
        if text:
            shown = f"{columns[0]}: {text!r}"
            remedy = "; if a class is called so, name it in labels.classes beside the others"
        raise ValueError(
            f"{where}: the label is missing ({shown}); fill it in or remove the record, set "
            f"labels.missing=skip to leave such records out{remedy}"
        )

    def named(self, text: str) -> Label | None:
        """The label that a text stands for, whatever it is; None where ``mapping`` has none."""
        if self.kind == "multilabel":
            return tuple(name for part in text.split(self.separator) if (name := part.strip()))
        if self.mapping is None:
            return text
        if text in self.mapping:
            return str(self.mapping[text])
        same = [name for written, name in self.mapping.items() if bare(written) == bare(text)]
        return str(same[0]) if same else None

    def _is_missing(self, label: Label) -> bool:
        known = self.classes or ()
        return self.mapping is None and any(
            is_missing(name) and name not in known for name in names_of(label)
        )


def names_of(label: Label) -> tuple[str, ...]:
    """The names in a label."""
    return (label,) if isinstance(label, str) else label
