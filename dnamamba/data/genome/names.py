"""What to tell a user whose contig name is not there."""

from collections.abc import Collection
from itertools import islice

from dnamamba.spelling import closest

__all__ = ["nearest_name"]

# Names that a wrong one is compared with: a draft genome may have millions.
_COMPARED = 10_000


def nearest_name(name: str, known: Collection[str]) -> str:
    """What to tell a user whose contig name is not among the known ones."""
    bare = name.removeprefix("chr")
    styles = [bare, f"chr{bare}"]
    if bare in ("M", "MT"):
        styles = ["chrM", "MT", "M", "chrMT"]
    for other in styles:
        if other != name and other in known:
            return f"did you mean {other!r}? The prefix 'chr' counts: chr1 and 1 differ"
    some = list(islice(known, _COMPARED))
    versions = (other for other in some if other.partition(".")[0] == name.partition(".")[0])
    if near := next(versions, None) or closest(name, some):
        return f"did you mean {near!r}?"
    return f"known are {', '.join(some[:5])}" + (", ..." if len(known) > 5 else "")
