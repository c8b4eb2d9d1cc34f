"""What a column of the table is of."""

from dataclasses import dataclass

__all__ = ["Heading"]


@dataclass(frozen=True)
class Heading:
    """A column of the table.

    Attributes:
        key: tells it from all others.
        column: of ``COLUMNS``.
        model: what the user called the model; None where the column is of none.
        title: in print.
    """

    key: str
    column: str
    model: str | None
    title: str
