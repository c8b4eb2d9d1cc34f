"""Tables and numbers as text."""

import statistics
from collections.abc import Iterable

__all__ = ["NAMES", "markdown", "mean", "number"]

NAMES = {
    "mcc": "MCC", "accuracy": "accuracy", "macro_f1": "macro F1", "auroc": "AUROC", "auprc": "AUPRC"
}  # fmt: skip
"""What figures are called."""


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table, the first column to the left."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def number(count: int, of: str) -> str:
    """1 seed, 2 seeds."""
    return f"{count} {of}" if count == 1 else f"{count} {of}s"


def mean(values: Iterable[float | None], digits: int = 3) -> str:
    """Mean ± sample deviation; the value alone where there is one."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    text = f"{statistics.fmean(known):.{digits}f}"
    return f"{text} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else text
