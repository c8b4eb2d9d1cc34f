"""A model that was read, and what there is to know of how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.kinds import Model

__all__ = ["Opened", "Report"]


@dataclass(frozen=True)
class Report:
    """How a model that others published was read; ``str`` of it is a line for a user.

    Attributes:
        format: of ``dnamamba.model.weights.FORMATS``.
        tied: tensors that another one stands for, ``copy = original`` each, by the file's names.
        remarks: what was turned round, and what else differs from the published code.
        tokens: what its ids stand for, and how N is read.
    """

    format: str
    tied: tuple[str, ...]
    remarks: tuple[str, ...]
    tokens: str

    def __str__(self) -> str:
        more = f" and {len(self.tied) - 1} more" if self.tied[1:] else ""
        ties = f"tied: {self.tied[0]}{more}" if self.tied else "nothing is tied"
        return "; ".join((f"{self.format} format", ties, *self.remarks, self.tokens))


class Opened(NamedTuple):
    """What a path leads to.

    Attributes:
        model: in evaluation mode.
        tokenizer: what its ids stand for; one without letters where nobody says.
        report: of a model of others how it was read; else None.
        source: the ``format`` and the ``config`` that it was published with, and its ``dtype`` if
            that is not fp32; None: it is ours.
    """

    model: Model
    tokenizer: Tokenizer
    report: Report | None = None
    source: Mapping[str, Any] | None = None
