"""Tables and numbers as text."""

__all__ = ["markdown", "number"]


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table, the first column to the left."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def number(count: int, of: str) -> str:
    """1 seed, 2 seeds."""
    return f"{count} {of}" if count == 1 else f"{count} {of}s"
