"""What a classifier adds to a backbone: the settings of its head."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dnamamba.model.heads.head import Head
from dnamamba.model.heads.table import HEADS
from dnamamba.model.pooling import POOLINGS, PoolingName

__all__ = ["HeadConfig", "HeadKind", "VariantHeadConfig"]

if TYPE_CHECKING:
    HeadKind = str
else:
    HeadKind = Literal[tuple(HEADS)]  # what the command line offers, from the one list there is


@dataclass(frozen=True)
class HeadConfig:
    """What a classifier adds to a backbone.

    Attributes:
        kind: see ``dnamamba.model.heads``; None until the labels are known.
        labels: names by number; empty for regression.
        pooling: over the bases' hidden states: ``mean``, ``max``, ``last`` or ``attention``.
        dropout: share of the pooled vector's entries that training sets to 0.
        both_strands: average the outputs over both strands, but in training; twice the time,
            unless the backbone treats the strands alike.

    Raises:
        ValueError: a value out of range, or labels that do not fit the kind.
    """

    kind: HeadKind | None = None
    labels: tuple[str, ...] = ()
    pooling: PoolingName = "mean"
    dropout: float = 0.0
    both_strands: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))  # YAML and JSON give lists
        if self.kind is not None and self.kind not in HEADS:
            raise ValueError(f"head.kind must be one of {', '.join(HEADS)}, got {self.kind!r}")
        if self.pooling not in POOLINGS:
            raise ValueError(
                f"head.pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}"
            )
        if not (isinstance(self.dropout, int | float) and 0 <= self.dropout < 1):
            raise ValueError(f"head.dropout must be in [0, 1), got {self.dropout!r}")
        if not isinstance(self.both_strands, bool):
            raise ValueError(f"head.both_strands must be true or false, got {self.both_strands!r}")
        if not all(isinstance(label, str) for label in self.labels):
            raise ValueError(f"head.labels must be names, got {self.labels!r}")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"head.labels names a class twice: {', '.join(self.labels)}")
        if self.kind is not None:
            HEADS[self.kind].check(self.labels)

    def build(self, width: int) -> Head:
        """The head, for vectors of a width, with new weights.

        Raises:
            ValueError: the kind is not known.
        """
        if self.kind is None:
            raise ValueError(
                f"head.kind is not set; it must be one of {', '.join(HEADS)}, with its head.labels"
            )
        head = HEADS[self.kind]
        return head(width, head.outputs(len(self.labels)), self.dropout)


@dataclass(frozen=True)
class VariantHeadConfig(HeadConfig):
    """What a variant classifier adds to a backbone.

    Attributes:
        region: pool from the variant's first base on, where the two sequences begin to differ
            for a causal model (``variant``), or over the whole window (``window``).
        length: most bases in a window around a variant; None until the data is known.

    Raises:
        ValueError: a value out of range, or labels that do not fit the kind.
    """

    region: Literal["variant", "window"] = "variant"
    length: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.region not in ("variant", "window"):
            raise ValueError(f"head.region must be 'variant' or 'window', got {self.region!r}")
        if self.length is not None and (not isinstance(self.length, int) or self.length < 2):
            raise ValueError(f"head.length must be at least 2 bases, got {self.length!r}")
