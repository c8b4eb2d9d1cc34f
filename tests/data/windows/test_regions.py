"""Interval arithmetic against sets of positions, and names of contigs."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnamamba.data.genome.names import nearest_name
from dnamamba.data.windows.regions import (
    Contigs,
    Regions,
    covers,
    difference,
    intersection,
    union,
    widened,
)

CONTIGS = Contigs.of({"one": {"a": 30, "b": 7}, "two": {"c": 25}})

rows = st.lists(
    st.integers(0, 2).flatmap(
        lambda contig: st.tuples(st.just(contig), st.integers(0, 24), st.integers(1, 12))
    ),
    max_size=8,
)


def regions(rows: list[tuple[int, int, int]]) -> Regions:
    """From (contig, start, length), cut to the contig."""
    ends = [(c, s, min(s + n, int(CONTIGS.length[c]))) for c, s, n in rows]
    columns = np.array([row for row in ends if row[1] < row[2]], dtype=np.int64)
    return Regions(*columns.reshape(-1, 3).T)


def positions(found: Regions) -> list[tuple[int, int]]:
    return [
        (int(contig), position)
        for contig, start, end in zip(*found, strict=True)
        for position in range(start, end)
    ]


def check_tidy(found: Regions) -> None:
    """Sorted, not empty, every base once."""
    assert (found.start < found.end).all()
    assert positions(found) == sorted(set(positions(found)))


@settings(max_examples=300, deadline=None)
@given(rows, rows)
def test_arithmetic_is_that_of_sets(one: list, other: list) -> None:
    a, b = union(regions(one)), union(regions(other))
    ours, theirs = set(positions(a)), set(positions(b))
    assert ours == set(positions(regions(one)))
    for found, expected in (
        (union(a, b), ours | theirs),
        (intersection(a, b), ours & theirs),
        (difference(a, b), ours - theirs),
    ):
        check_tidy(found)
        assert set(positions(found)) == expected


@settings(max_examples=100, deadline=None)
@given(rows, st.integers(0, 9))
def test_widened_stays_on_the_contig(some: list, by: int) -> None:
    found = widened(union(regions(some)), by, CONTIGS)
    check_tidy(found)
    expected = {
        (contig, position)
        for contig, near in positions(regions(some))
        for position in range(near - by, near + by + 1)
        if 0 <= position < CONTIGS.length[contig]
    }
    assert set(positions(found)) == expected


@settings(max_examples=100, deadline=None)
@given(rows)
def test_covers_knows_each_position(some: list) -> None:
    tidy = union(regions(some))
    everywhere = positions(CONTIGS.whole)
    contig, position = np.array(everywhere, dtype=np.int64).T
    inside = set(positions(tidy))
    assert covers(tidy, contig, position).tolist() == [place in inside for place in everywhere]


def test_touching_intervals_stay_apart_and_overlapping_ones_join() -> None:
    found = union(regions([(0, 10, 5), (0, 0, 5), (0, 5, 5), (0, 12, 6)]))
    assert found.start.tolist() == [0, 5, 10]
    assert found.end.tolist() == [5, 10, 18]


def test_contig_ends_do_not_join_across_contigs() -> None:
    found = union(CONTIGS.whole, CONTIGS.whole)
    assert found.contig.tolist() == [0, 1, 2]
    assert found.bases == 62


def test_contigs_are_numbered_through_all_genomes() -> None:
    assert CONTIGS.number("c") == CONTIGS.number("two:c") == 2
    assert CONTIGS.genome.tolist() == [0, 0, 1]
    assert CONTIGS.within.tolist() == [0, 1, 0]


def test_a_name_that_genomes_share_needs_the_genome() -> None:
    both = Contigs.of({"hg38": {"chr1": 5}, "mm39": {"chr1": 6}})
    with pytest.raises(ValueError, match="write hg38:chr1 or mm39:chr1"):
        both.number("chr1")
    assert both.number("mm39:chr1") == 1


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("1", ["chr1", "chr2"], "did you mean 'chr1'.*chr1 and 1 differ"),
        ("chr1", ["1", "2"], "did you mean '1'.*chr1 and 1 differ"),
        ("chrM", ["1", "MT"], "did you mean 'MT'"),
        ("NC_000932", ["NC_000932.1", "x"], "did you mean 'NC_000932.1'"),
        ("scafold_12", ["scaffold_12", "scaffold_9"], "did you mean 'scaffold_12'"),
        ("zzz", ["1", "2", "3", "4", "5", "6"], "known are 1, 2, 3, 4, 5, ..."),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, known: list[str], hint: str) -> None:
    assert re.search(hint, nearest_name(name, known))


def test_of_one_genome_contigs_are_named_alone() -> None:
    with pytest.raises(ValueError, match=r"known are chr1, chr2$"):
        Contigs.of({"hg38": {"chr1": 5, "chr2": 6}}).number("zzz")
