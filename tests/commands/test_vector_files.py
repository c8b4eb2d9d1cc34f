"""Files of embeddings on a disk that fills up: a clear error, and nothing left."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata
import numpy as np
import pytest
from numpy.typing import NDArray

from dnamamba.commands.vector_files import COLUMNS, open_vectors

ROWS, WIDTH = 2000, 64


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files of this process end at ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def vectors() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((ROWS, WIDTH), dtype=np.float32)


def write(path: Path) -> None:
    with open_vectors(path, (ROWS, WIDTH), {"model": "m"}) as output:
        for first in range(0, ROWS, 100):
            text = [f"r{number}" for number in range(first, first + 100)]
            columns = dict.fromkeys(COLUMNS, text)
            columns |= dict.fromkeys(("start", "end"), np.arange(first, first + 100))
            output.write(columns, vectors()[first : first + 100])


# Within the vectors, and, for what holds the columns until the end, behind them.
@pytest.mark.parametrize("size", [100_000, 4 * ROWS * WIDTH + 5_000])
@pytest.mark.parametrize("ending", ["npz", "parquet", "h5ad"])
def test_a_full_disk(
    tmp_path: Path, ending: str, size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"v.{ending}"
    with room(size), pytest.raises(OSError, match=r"no room to write .* nothing was left"):
        write(path)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_an_anndata_keeps_none_of_the_room_that_was_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "v.h5ad"
    write(path)
    assert path.stat().st_size < 4 * ROWS * WIDTH + 200 * ROWS
    got = anndata.read_h5ad(path)
    np.testing.assert_array_equal(got.X, vectors())
    assert got.obs_names.tolist() == [f"r{number}" for number in range(ROWS)]
