"""How long labelled sequences may be."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Length"]


@dataclass(frozen=True)
class Length:
    """How long a sequence may be.

    Attributes:
        maximum: most bases; None for no limit.
        longer: what becomes of a longer sequence: it is refused (``error``), or its first bases
            (``start``), its middle (``center``) or a piece drawn by seed and sample (``random``;
            held-out sequences always give the same piece) are taken.

    Raises:
        ValueError: a value out of range.
    """

    maximum: int | None = None
    longer: Literal["error", "start", "center", "random"] = "error"

    def __post_init__(self) -> None:
        if self.maximum is not None and self.maximum < 1:
            raise ValueError(f"length.maximum must be at least 1 base, got {self.maximum}")
        if self.longer not in ("error", "start", "center", "random"):
            raise ValueError(
                f"length.longer must be 'error', 'start', 'center' or 'random', got {self.longer!r}"
            )
        if self.maximum is None and self.longer != "error":
            raise ValueError(f"length.longer={self.longer} needs length.maximum")
