"""Counts and times for people."""

__all__ = ["clock_time", "readable"]


def readable(count: float, unit: str) -> str:
    """A count with a metric prefix: 1234567 bp -> 1.23 Mbp."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {prefix}{unit}"
    return f"{count:.0f} {unit}"


def clock_time(seconds: float) -> str:
    """Hours, of which there may be hundreds, minutes and seconds: 26:03:07."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
