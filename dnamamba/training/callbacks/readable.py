"""Counts for people."""

__all__ = ["readable"]


def readable(count: float, unit: str) -> str:
    """A count with a metric prefix: 1234567 bp -> 1.23 Mbp."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {prefix}{unit}"
    return f"{count:.0f} {unit}"
