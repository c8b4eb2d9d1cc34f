"""Windows over regions against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnamamba.data.windows import tiling
from dnamamba.data.windows.regions import Regions
from dnamamba.data.windows.tiling import Places, tile

Place = tuple[int, int, int]


def regions(*rows: tuple[int, int, int]) -> Regions:
    return Regions(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)


def places(laid) -> list[Place]:
    found = laid.places(np.arange(len(laid)))
    return [tuple(map(int, row)) for row in zip(*found, strict=True)]


def loop(rows: list[Place], length: int, stride: int, tail: str, short: str) -> list[Place]:
    """(contig, start, length) of every window, one at a time."""
    found = []
    for contig, start, end in rows:
        if end - start < length:
            if short == "pad":
                found.append((contig, start, end - start))
            continue
        at = start
        while at + length <= end:
            found.append((contig, at, length))
            at += stride
        covered = at - stride + length
        if covered < end and tail == "shift":
            found.append((contig, end - length, length))
        while tail == "pad" and covered < end and at < end:
            found.append((contig, at, min(length, end - at)))
            covered = at + length
            at += stride
    return found


sizes = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@settings(max_examples=400, deadline=None)
@given(
    sizes,
    st.integers(1, 20),
    st.integers(1, 30),
    st.sampled_from(["shift", "pad", "drop"]),
    st.sampled_from(["pad", "drop"]),
)
def test_windows_are_those_of_a_loop(
    lengths: list[int], length: int, stride: int, tail, short
) -> None:
    rows = [(i // 2, 100 * i, 100 * i + n) for i, n in enumerate(lengths)]
    laid = tile(regions(*rows), length, stride, tail, short)
    expected = loop(rows, length, stride, tail, short)
    assert places(laid) == expected
    assert laid.has_short == any(n < length for _, _, n in expected)


@settings(max_examples=200, deadline=None)
@given(
    sizes,
    st.integers(1, 20),
    st.integers(1, 30),
    st.sampled_from(["shift", "pad", "drop"]),
    st.integers(0, 2**32),
    st.integers(1, 7),
)
def test_left_out_windows_leave_the_others_as_they_were(
    lengths: list[int], length: int, stride: int, tail, seed: int, chunk: int
) -> None:
    rows = [(i // 2, 100 * i, 100 * i + n) for i, n in enumerate(lengths)]
    laid = tile(regions(*rows), length, stride, tail, "pad")
    refused = np.random.default_rng(seed).random(700) < 0.4

    def wanted(found: Places) -> np.ndarray:
        return ~refused[found.start]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "_CHUNK", chunk)
        kept = laid.keep(wanted)
    assert places(kept) == [place for place in places(laid) if not refused[place[1]]]


def test_nothing_refused_costs_nothing() -> None:
    laid = tile(regions((0, 0, 50)), 10, 10, "drop", "drop")
    assert laid.keep(lambda found: np.ones(len(found.start), dtype=np.bool_)) is laid


def test_held_out_tiling_covers_every_base_once() -> None:
    rows = [(0, 3, 45), (0, 50, 57), (2, 0, 30)]
    laid = tile(regions(*rows), 10, 10, "pad", "pad")
    covered = [(c, p) for c, start, n in places(laid) for p in range(start, start + n)]
    assert covered == [(c, p) for c, start, end in rows for p in range(start, end)]


def test_memory_is_that_of_the_runs() -> None:
    """A window of a hundred human genomes is found without a list of them."""
    whole = regions(*((c, 0, 3 * 10**9) for c in range(100)))
    laid = tile(whole, 1024, 1, "drop", "drop")
    assert len(laid) == 100 * (3 * 10**9 - 1023)
    assert places_of(laid, [0, len(laid) - 1]) == [(0, 0, 1024), (99, 3 * 10**9 - 1024, 1024)]


def places_of(laid, numbers: list[int]) -> list[Place]:
    found = laid.places(np.array(numbers))
    return [tuple(map(int, row)) for row in zip(*found, strict=True)]
