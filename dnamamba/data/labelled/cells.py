"""What the text of a table's cell stands for: nothing, yes or no, a number."""

import math
import re
from collections.abc import Iterable
from decimal import Decimal

from dnamamba.missing import is_missing

__all__ = ["bare", "flag", "number", "one_spelling", "sorted_names"]

_GREATEST = 3.4e38  # labels become float32
_YES_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def flag(value: str, column: str, where: str) -> bool:
    """Yes or no: 1, true, yes, 0, false or no, in either case.

    Raises:
        ValueError: anything else; names record and column.
    """
    known = _YES_NO.get(value.strip().lower().removesuffix(".0"))
    if known is None:
        remedy = "; set labels.missing=skip to leave such records out" if is_missing(value) else ""
        raise ValueError(f"{where}: column {column!r} must be 0 or 1, got {value!r}{remedy}")
    return known


def number(text: str, where: str) -> float:
    """A finite number.

    Raises:
        ValueError: none; names the record.
    """
    remedy = "remove the record"
    if is_missing(text):
        remedy += ", or set labels.missing=skip to leave such records out"
    try:
        value = float(text.replace("_", "?"))  # 1_000 is Python's spelling alone
    except ValueError:
        raise ValueError(
            f"{where}: label {text!r} is no number, as labels.kind=number asks for; correct it "
            f"or {remedy}"
        ) from None
    if not abs(value) <= _GREATEST:
        what = "too large for a 32-bit number" if math.isfinite(value) else "not finite"
        raise ValueError(f"{where}: label {text!r} is {what}; {remedy}")
    return value


def bare(name: str) -> str:
    """Without the zeros that turn a whole number into a fraction: 1.0 and 1. are 1."""
    return re.sub(r"\.0*$", "", name) if _DECIMAL.fullmatch(name) else name


def one_spelling(names: Iterable[str], chosen: Iterable[str] = ()) -> dict[str, str]:
    """What to call each name, so that a number that is written in several ways has one name.

    Args:
        names: as written.
        chosen: names that stay as they are, and that their other spellings are called by.

    Returns:
        Name as written -> itself, or the shortest of the ways in which this number is written.
    """
    kept = dict.fromkeys(chosen)
    by_value: dict[Decimal, str] = {}
    spellings = sorted(set(names) - kept.keys(), key=lambda name: (len(name), name))
    for name in (*kept, *spellings):
        if (value := _value(name)) is not None:
            by_value.setdefault(value, name)
    called = dict(zip(kept, kept, strict=True))
    for name in spellings:
        value = _value(name)
        called[name] = name if value is None else by_value[value]
    return called


def sorted_names(names: Iterable[str]) -> list[str]:
    """In the order of numbers where all are whole numbers, else of letters."""
    try:
        return sorted(names, key=int)
    except ValueError:
        return sorted(names)


def _value(text: str) -> Decimal | None:
    return Decimal(text) if _DECIMAL.fullmatch(text) else None
