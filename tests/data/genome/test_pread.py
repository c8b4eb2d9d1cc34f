"""Many rows by few calls: what is read, how much at a time, and what a changed file gives."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba.data.genome import pread
from dnamamba.data.genome.fasta import Genome

LENGTHS = (40_000, 1, 700, 3)


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    """Some contigs, the shortest of a base."""
    letters = np.random.default_rng(0).choice(list("ACGTacgtN"), sum(LENGTHS))
    ends = np.cumsum(LENGTHS)
    records = ["".join(part) for part in np.split(letters, ends[:-1])]
    path = tmp_path / "g.fa"
    path.write_text("".join(f">c{i}\n{record}\n" for i, record in enumerate(records)))
    return Genome(path, cache_dir=tmp_path / "cache")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bases asked for, call by call."""
    sizes: list[int] = []
    preadv = os.preadv

    def counted(file: int, buffers: Any, place: int) -> int:
        sizes.append(len(buffers[0]))
        return preadv(file, buffers, place)

    monkeypatch.setattr(os, "preadv", counted)
    return sizes


def test_rows_are_what_each_holds_alone(genome: Genome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pread, "_APART", 20)
    monkeypatch.setattr(pread, "_PIECE_BITS", 10)
    random, room = np.random.default_rng(1), np.array(LENGTHS)
    for number in range(60):
        contigs = random.integers(0, len(LENGTHS), random.integers(1, 80))
        size = np.minimum(random.integers(0, 50, len(contigs)), room[contigs])
        start = room[contigs] - size  # the last bases, and of no base what lies behind them
        if number % 2:
            start = random.integers(0, np.minimum(start, 2_000) + 1)
        out = np.full((len(contigs), 60), 7, np.uint8)
        genome.read_into(contigs, start, size, out)
        places = list(zip(contigs.tolist(), start.tolist(), size.tolist(), strict=True))
        alone = [genome.fetch(f"c{c}", a, a + n) if n else b"" for c, a, n in places]
        assert [row[:n].tobytes() for row, n in zip(out, size, strict=True)] == alone
        assert all((row[n:] == 7).all() for row, n in zip(out, size, strict=True))
        assert genome.read_joined(contigs, start, size).tobytes() == b"".join(alone)


def test_neighbours_are_one_call_and_a_call_has_a_bound(
    genome: Genome, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = np.arange(0, 40_000, 1_000)
    genome.read_joined(np.zeros_like(starts), starts, 8)
    assert sizes == [39_008]
    sizes.clear()
    monkeypatch.setattr(pread, "_PIECE_BITS", 12)
    genome.read_joined(np.zeros_like(starts), starts, 8)
    assert len(sizes) == 10
    assert max(sizes) <= 1 << 12


def test_a_cache_that_ends_early_is_an_error(
    genome: Genome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    genome.read_joined([0, 0], [0, 10], 5)
    (cache,) = (path for path in (tmp_path / "cache").rglob("*") if path.stat().st_size > 40_000)
    os.truncate(cache, 100)
    for still in (None, lambda *_: True):  # as the size says, and while it is read
        if still:
            monkeypatch.setattr(pread, "is_still", still)
        with pytest.raises(ValueError, match="changed or was truncated while in use"):
            genome.read_joined([0, 0], [50, 90], [20, 40])
