"""What was meant by a name that is not known."""

import pytest

from dnamamba.spelling import closest


@pytest.mark.parametrize(
    ("name", "cutoff", "meant"),
    [("lenght", 0.6, "length"), ("seq", 0.6, None), ("seq", 0.4, "sequence"), ("x", 0.4, None)],
)
def test_closest(name: str, cutoff: float, meant: str | None) -> None:
    assert closest(name, iter(["label", "length", "sequence"]), cutoff) == meant
