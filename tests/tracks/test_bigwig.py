"""Tracks as files of any size and shape, read back by another program's reader."""

import resource
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pybigtools
import pytest
from numpy.typing import NDArray

from dnamamba.tracks import ending_of, open_track

Parts = list[tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]
RANDOM = np.random.default_rng(0)


def _bases(contig: str, start: int, size: int, gaps: float = 0.0) -> Parts:
    values = RANDOM.normal(size=size)
    values[RANDOM.random(size) < gaps] = np.nan
    at = start + np.arange(size)
    return [(contig, at, at + 1, values)]


def _windows(contig: str, step: int, span: int, count: int) -> Parts:
    start = np.arange(count) * step
    return [(contig, start, start + span, RANDOM.normal(size=count))]


def _ragged(contig: str, count: int) -> Parts:
    edges = np.cumsum(RANDOM.integers(1, 40, 2 * count))
    return [(contig, edges[::2], edges[1::2], RANDOM.normal(size=count))]


CASES: dict[str, tuple[Mapping[str, int], Parts]] = {
    "one base": ({"a": 1}, _bases("a", 0, 1)),
    "every base": ({"b": 70_000, "a": 3000}, _bases("b", 0, 70_000) + _bases("a", 0, 3000)),
    "in pieces": (
        {"a": 9000},
        [p for at in range(0, 9000, 700) for p in _bases("a", at, min(700, 9000 - at))],
    ),
    "gaps": ({"a": 20_000}, _bases("a", 100, 15_000, gaps=0.3)),
    "windows": ({"a": 2_000_000}, _windows("a", 1000, 1000, 1900)),
    "windows apart": ({"a": 1_000_000}, _windows("a", 500, 200, 1999)),
    "ragged": ({"a": 200_000}, _ragged("a", 4000)),
    "bases, then a whole contig": (
        {"a": 3000, "b": 400_000},
        [*_bases("a", 0, 3000), ("b", *(np.array([n]) for n in (5, 390_000)), np.array([2.5]))],
    ),
    "many contigs": (
        {f"scaffold_{n:05d}": 3 for n in range(70_000)},
        _bases("scaffold_00300", 0, 3) + _bases("scaffold_69999", 1, 2),
    ),
    "nothing": ({"a": 5}, []),
}  # fmt: skip


def test_a_label_does_not_end_the_description_of_a_bedgraph(tmp_path: Path) -> None:
    with open_track(tmp_path / "a.bedgraph", {"a": 3}, "t", 'to "open"\nones') as track:
        track.write("a", [0], [1], [2.5])
    lines = (tmp_path / "a.bedgraph").read_text().splitlines()
    assert lines == [
        """track type=bedGraph name="t" description="to 'open' ones\"""", "a\t0\t1\t2.5",
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    contigs, parts = CASES[name]
    path = tmp_path / "t.bw"
    with open_track(path, contigs, "t") as track:
        for part in parts:
            track.write(*part)
    assert [p.name for p in tmp_path.iterdir()] == ["t.bw"]
    expected: dict[str, NDArray[np.float64]] = {}
    for contig, start, end, values in parts:
        whole = expected.setdefault(contig, np.full(contigs[contig], np.nan))
        for low, high, value in zip(start, end, values, strict=True):
            whole[low:high] = value
    with pybigtools.open(str(path)) as file:
        assert file.chroms() == dict(contigs)
        for contig, values in expected.items():
            got = file.values(contig, 0, len(values), fillna=None)
            np.testing.assert_array_equal(got, values.astype(np.float32))
        every = np.concatenate([np.zeros(0), *(v[~np.isnan(v)] for v in expected.values())])
        summary = file.info()["summary"]
        assert summary["basesCovered"] == len(every)
        if len(every):
            found = [summary[key] for key in ("sum", "min", "max")]
            np.testing.assert_allclose(found, [every.sum(), every.min(), every.max()], rtol=1e-9)


@pytest.mark.parametrize("name", ["every base", "gaps", "windows", "ragged"])
def test_zooms_are_summaries(tmp_path: Path, name: str) -> None:
    contigs, parts = CASES[name]
    with open_track(tmp_path / "t.bw", contigs, "t") as track:
        for part in parts:
            track.write(*part)
    with pybigtools.open(str(tmp_path / "t.bw")) as file:
        assert file.zooms()
        for size in file.zooms():
            for contig, length in contigs.items():
                values = file.values(contig, 0, length, fillna=None)
                known = ~np.isnan(values)
                records = list(file.zoom_records(size, contig))
                assert sum(r["bases_covered"] for *_, r in records) == known.sum()
                for start, end, record in records:
                    assert start % size == 0
                    assert end == min(start + size, length)
                    some = values[start:end][known[start:end]]
                    assert record["bases_covered"] == len(some)
                    found = [record[key] for key in ("sum", "sum_squares", "min_val", "max_val")]
                    wanted = [some.sum(), (some**2).sum(), some.min(), some.max()]
                    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_file_ends_with_its_mark(tmp_path: Path) -> None:
    with open_track(tmp_path / "t.bw", {"a": 9}, "t") as track:
        track.write(*_bases("a", 0, 9)[0])
    content = (tmp_path / "t.bw").read_bytes()
    assert content[:4] == content[-4:] == struct.pack("<I", 0x888FFC26)


@pytest.mark.parametrize(
    "second", [("a", [5], [7]), ("a", [3], [4]), ("z", [1], [2])], ids=["over", "before", "contig"]
)
def test_values_come_in_order(tmp_path: Path, second: tuple[str, list[int], list[int]]) -> None:
    def write() -> None:
        with open_track(tmp_path / "t.bw", {"z": 9, "a": 9}, "t") as track:
            track.write("a", [4], [6], [1.0])
            track.write(*second, [1.0])

    with pytest.raises(ValueError, match=rf"{second[0]}:{second[1][0]}-.* sort the regions"):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["t.bw", "t.bedgraph", "t.bedgraph.gz"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str) -> None:
    def write() -> None:
        with open_track(tmp_path / name, {"a": 100_000}, "t") as track:
            for at in range(0, 100_000, 1000):
                track.write(*_bases("a", at, 1000)[0])

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=rf"no room to write .*{name}"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_names_that_are_tracks() -> None:
    names = ["a.bw", "a.BigWig", "a.bedGraph", "a.b.bedgraph.gz", "a.bed", "bw", "a.bw.npz"]
    endings = [".bw", ".bigwig", ".bedgraph", ".bedgraph.gz", None, None, None]
    assert [ending_of(name) for name in names] == endings
