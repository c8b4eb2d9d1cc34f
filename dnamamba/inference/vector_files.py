"""Embeddings as a file: Parquet in slabs, or npz in one piece; whole or not there."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.files import replacing

__all__ = ["COLUMNS", "ENDINGS", "VectorFile", "open_vectors"]

ENDINGS = (".parquet", ".npz")
COLUMNS = ("id", "contig", "start", "end", "strand")

Columns = dict[str, Any]


class VectorFile(Protocol):
    """An open output."""

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        """Append rows: a value for each of ``COLUMNS`` and a (rows, d_model) array."""
        ...


class _Npz:
    def __init__(self, file: IO[bytes], about: dict[str, str]) -> None:
        self._file = file
        self._about = about
        self._parts: dict[str, list[NDArray[Any]]] = {}

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        for name, values in {**columns, "embedding": vectors}.items():
            self._parts.setdefault(name, []).append(np.asarray(values))

    def close(self) -> None:
        arrays: dict[str, Any] = {k: np.concatenate(parts) for k, parts in self._parts.items()}
        np.savez(self._file, allow_pickle=False, **arrays, **self._about)


class _Parquet:
    def __init__(self, file: IO[bytes], about: dict[str, str], width: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._vector = pa.list_(pa.float32(), width)
        types = (pa.string(), pa.string(), pa.int64(), pa.int64(), pa.string(), self._vector)
        names = (*COLUMNS, "embedding")
        schema = pa.schema(list(zip(names, types, strict=True)), metadata=about)
        self._pa = pa
        self._writer = pq.ParquetWriter(file, schema)

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        flat = self._pa.array(np.ascontiguousarray(vectors).reshape(-1))
        lists = self._pa.FixedSizeListArray.from_arrays(flat, type=self._vector)
        values = [self._pa.array(columns[name]) for name in COLUMNS]
        self._writer.write_table(
            self._pa.Table.from_arrays([*values, lists], schema=self._writer.schema)
        )

    def close(self) -> None:
        self._writer.close()


@contextmanager
def open_vectors(path: Path, width: int, about: dict[str, str]) -> Iterator[VectorFile]:
    """Write ``path`` slab by slab; it appears when the block ends well.

    Args:
        path: ends in .parquet or .npz.
        width: d_model.
        about: what the file should say of itself: Parquet's metadata, or further npz entries.
    """
    with replacing(path) as file:
        opened = _Npz(file, about) if path.suffix == ".npz" else _Parquet(file, about, width)
        # Closed on failure too: a Parquet writer must not outlive its file.
        with closing(opened) as output:
            yield output


def require_parquet() -> None:
    """Say what to install where pyarrow is missing.

    Raises:
        ModuleNotFoundError: names the extra.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing Parquet needs pyarrow: pip install 'dnamamba[io]'; or name an .npz output"
        ) from error
