"""Windows of a tape against the tape itself, laid out base by base."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from dnamamba.data.windows.regions import Regions
from dnamamba.data.windows.tape import Tape

Base = tuple[int, int, bool]  # contig, position, from the minus strand

STRETCHES = Regions(
    np.array([0, 0, 1, 2, 3]), np.array([0, 20, 0, 5, 0]), np.array([10, 47, 3, 31, 1])
)
TOTAL = 67
HOW = [(1, False, False), (1, True, True), (2, True, False), (3, False, True), (8, True, True)]


def tape(lanes: int = 1, shuffle: bool = True, flip: bool = True, **options) -> Tape:
    return Tape(STRETCHES, options.pop("length", 8), lanes, 5, shuffle, flip, **options)


def bases(tape: Tape, index: np.ndarray) -> list[list[tuple[Base, bool]]]:
    """Of each window its bases, and whether each begins anew."""
    rows: list[list[tuple[Base, bool]]] = [[] for _ in index]
    for row, contig, start, length, reverse, begins in zip(*tape.pieces(index), strict=True):
        places = range(start, start + length)
        for k, place in enumerate(reversed(places) if reverse else places):
            rows[row].append(((int(contig), place, bool(reverse)), bool(begins) and k == 0))
    return rows


def lane(tape: Tape, number: int, windows: int) -> list[tuple[Base, bool]]:
    """A lane's bases, window by window."""
    rows = bases(tape, np.arange(windows) * tape.lanes + number)
    assert all(len(row) == tape.length for row in rows)
    return [base for row in rows for base in row]


@pytest.mark.parametrize(("lanes", "shuffle", "flip"), HOW)
def test_every_round_reads_every_base_once(lanes: int, shuffle: bool, flip: bool) -> None:
    made = tape(lanes, shuffle, flip)
    if lanes == 1:  # window by window in the tape's order
        made = Tape(STRETCHES, 8, 1, 5, False, flip)
    read: list[list[Base]] = [[], [], []]
    for number in range(lanes):
        size = (number + 1) * TOTAL // lanes - number * TOTAL // lanes
        own = [base for base, _ in lane(made, number, 3 * size // 8 + 1)]
        for turn in range(3):
            read[turn] += own[turn * size : (turn + 1) * size]
    for turn in range(3):
        assert len(read[turn]) == len({(contig, place) for contig, place, _ in read[turn]}) == TOTAL
    assert (Counter(read[0]) != Counter(read[1])) == flip


@pytest.mark.parametrize(("lanes", "shuffle", "flip"), HOW[2:])
def test_bases_follow_each_other_but_where_one_begins(
    lanes: int, shuffle: bool, flip: bool
) -> None:
    made = tape(lanes, shuffle, flip)
    for number in range(lanes):
        own = lane(made, number, 12)
        assert own[0][1]
        for ((contig, place, reverse), _), (after, begins) in pairwise(own):
            follows = after == (contig, place - 1 if reverse else place + 1, reverse)
            assert follows or begins
        heads = {(c, (e - 1 if r else s), r) for c, s, e in zip(*STRETCHES, strict=True)
                 for r in (False, True)}  # fmt: skip
        size = (number + 1) * TOTAL // lanes - number * TOTAL // lanes
        for k, (base, begins) in enumerate(own):
            assert begins == (base in heads or k % size == 0)


def test_packed_windows_come_in_any_order_and_are_those_of_the_tape() -> None:
    """What is left of a round goes on in the first window of the next: nothing is lost."""
    made, plain = tape(), tape(length=TOTAL)
    whole = [base for base, _ in lane(plain, 0, 3)]  # a window is a round
    n = len(made)
    assert n == TOTAL // 8
    windows = {tuple(base for base, _ in row) for row in bases(made, np.arange(3 * n))}
    for turn in range(3):
        first = bases(made, np.arange(turn * n, (turn + 1) * n))
        at = [whole.index(row[0][0], turn * n * 8 // TOTAL * TOTAL) for row in first]
        assert at != sorted(at)
    assert windows == {tuple(whole[8 * k : 8 * k + 8]) for k in range(3 * n)}


def test_windows_do_not_depend_on_those_asked_for_with_them() -> None:
    made = tape(3)
    index = np.array([40, 2, 7, 40, 200, 0])
    assert bases(made, index) == [bases(tape(3), np.array([i]))[0] for i in index]
    assert bases(made, np.array([-1, 3]))[0] == []


def test_a_tape_read_once_ends() -> None:
    made = Tape(STRETCHES, 8, 3, once=True)
    assert made.steps == 3
    rows = bases(made, np.arange(len(made)))
    read = [base for row in rows for base, _ in row]
    assert len(read) == len(set(read)) == TOTAL
    assert [len(row) for row in rows] == [8] * 6 + [22 - 16, 22 - 16, 23 - 16]
    assert read[0] == (0, 0, False)
    assert len(Tape(Regions(*np.empty((3, 0), np.int64)), 8, once=True)) == 0


@pytest.mark.parametrize(
    ("lanes", "length", "remedy"),
    [
        (9, 8, r"; set data\.global_batch_size to 8 or less$"),
        (1, 68, r"; set data\.length to 67 or less$"),
        (2, 68, "; name more sequence, or lower both$"),
    ],
)
def test_more_lanes_than_windows_are_refused(lanes: int, length: int, remedy: str) -> None:
    """With remedies that work: no window is shorter than 64."""
    with pytest.raises(ValueError, match=remedy):
        tape(lanes, length=length).check()
    tape(TOTAL // length or 1, length=min(length, TOTAL)).check()
