"""Embeddings as a file: Parquet, npz or h5ad, written row by row; whole or not there."""

import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.extras import library
from dnamamba.files import Opened, replacing

__all__ = ["COLUMNS", "ENDINGS", "VectorFile", "check_vectors", "is_reserved", "open_vectors"]

ENDINGS = (".parquet", ".npz", ".h5ad")
COLUMNS = ("id", "contig", "start", "end", "strand")

# Ending -> the library that writes it and the extra that installs it.
_LIBRARIES = {".parquet": ("pyarrow.parquet", "io"), ".h5ad": ("anndata", "anndata")}
# What commands say of their outputs.
_METADATA = ("model", "fasta", "table", "pooling", "layer", "strands")
# Bytes that HDF5 may need beside the values: in a file, and for a cell of text.
_H5_SLACK, _H5_CELL = 1 << 18, 96

Columns = dict[str, Any]


class VectorFile(Protocol):
    """An open output."""

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        """Append rows: a value for each column and a (rows, d_model) array."""
        ...

    def close(self, whole: bool) -> None:
        """Let go of the file; if all rows are written, complete it first."""
        ...


class _StoredColumns:
    """Columns that are kept until the end; vectors are not."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any]]] = {}

    def add(self, columns: Columns) -> None:
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(np.asarray(values))

    def whole(self) -> dict[str, NDArray[Any]]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


class _Npz:
    """What ``numpy.savez`` writes, the vectors first and bit by bit."""

    def __init__(self, file: IO[bytes], metadata: dict[str, str], shape: tuple[int, int]) -> None:
        self._metadata, self._columns = metadata, _StoredColumns()
        self._zip = zipfile.ZipFile(file, "w")
        self._vectors = self._zip.open("embedding.npy", "w", force_zip64=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._vectors, header)

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        self._columns.add(columns)
        self._vectors.write(vectors.astype("<f4", order="C", copy=False).tobytes())

    def close(self, whole: bool) -> None:
        with self._zip:
            self._vectors.close()
            for name, values in self._entries().items() if whole else ():
                with self._zip.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(values), allow_pickle=False)

    def _entries(self) -> dict[str, Any]:
        return {**self._columns.whole(), **self._metadata}


class _Parquet:
    def __init__(
        self, file: IO[bytes], metadata: dict[str, str], width: int, columns: dict[str, bool]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._vector = pa.list_(pa.float32(), width)
        types = [pa.int64() if whole else pa.string() for whole in columns.values()]
        fields = list(zip((*columns, "embedding"), (*types, self._vector), strict=True))
        self._pa, self._columns = pa, columns
        self._writer = pq.ParquetWriter(file, pa.schema(fields, metadata=metadata))

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        flat = self._pa.array(np.ascontiguousarray(vectors).reshape(-1))
        lists = self._pa.FixedSizeListArray.from_arrays(flat, type=self._vector)
        values = [self._pa.array(columns[name]) for name in self._columns]
        self._writer.write_table(
            self._pa.Table.from_arrays([*values, lists], schema=self._writer.schema)
        )

    def close(self, whole: bool) -> None:
        self._writer.close()


class _H5ad:
    """AnnData's format: X holds the vectors, obs the columns, uns what the file says of itself."""

    def __init__(self, file: IO[bytes], metadata: dict[str, str], shape: tuple[int, int]) -> None:
        import h5py

        self._metadata, self._columns, self._below = metadata, _StoredColumns(), file
        self._file = h5py.File(file.name, "w")  # the same file, by its name
        chunk = min(shape[0], 256)
        self._room = 4 * shape[1] * chunk * -(-shape[0] // chunk) + _H5_SLACK
        self._take_room()
        self._file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        self._x = self._file.create_dataset("X", shape, "f4", chunks=(chunk, shape[1]))
        self._x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        self._rows = 0

    def write(self, columns: Columns, vectors: NDArray[np.float32]) -> None:
        self._columns.add(columns)
        self._x[self._rows : self._rows + len(vectors)] = vectors
        self._rows += len(vectors)

    def close(self, whole: bool) -> None:
        with self._file:
            if whole:
                self._complete()
                self._file.flush()
            size = self._file.id.get_filesize()
        self._below.truncate(size)

    def _take_room(self) -> None:
        """Fail on a full disk here: HDF5 cannot close a file that it has no room for."""
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(self._below.fileno(), 0, self._room)
            except OSError:
                self._file.close()  # while it is small
                raise

    def _complete(self) -> None:
        import anndata
        import pandas as pd

        columns = self._columns.whole()
        self._room += sum(2 * v.nbytes + _H5_CELL * v.size for v in columns.values())
        self._take_room()
        obs = pd.DataFrame(columns)
        names = pd.Index(obs["id"].astype(str).to_numpy())
        obs.index = anndata.utils.make_index_unique(names)
        dimensions = pd.DataFrame(index=[str(i) for i in range(self._x.shape[1])])
        tables = {"obs": obs, "var": dimensions, "uns": self._metadata}
        empty: dict[str, Any] = {name: {} for name in ("obsm", "varm", "obsp", "varp", "layers")}
        for name, value in {**tables, **empty}.items():
            anndata.io.write_elem(self._file, name, value)


@contextmanager
def open_vectors(
    path: Path,
    shape: tuple[int, int],
    metadata: dict[str, str],
    columns: tuple[str, ...] = COLUMNS,
    numbers: Collection[str] = ("start", "end"),
    opened: Opened = replacing,
) -> Iterator[VectorFile]:
    """Write ``path`` piece by piece; it appears when the block ends well.

    Vectors are never all in memory; nor are the columns of Parquet.

    Args:
        path: ends in .parquet, .npz or .h5ad.
        shape: rows, d_model.
        metadata: of the file: Parquet's metadata, npz entries, AnnData's uns.
        columns: names.
        numbers: those of them that hold integers; the others hold text.
        opened: how the file is opened.
    """
    with opened(path) as file:
        output: VectorFile
        if path.suffix == ".npz":
            output = _Npz(file, metadata, shape)
        elif path.suffix == ".h5ad":
            output = _H5ad(file, metadata, shape)
        else:
            whole = {name: name in numbers for name in columns}
            output = _Parquet(file, metadata, shape[1], whole)
        # Closed on failure too: a writer must not outlive its file.
        try:
            yield output
        except BaseException:
            output.close(whole=False)
            raise
        output.close(whole=True)


def check_vectors(path: Path) -> None:
    """See that the library for this kind of file is there, before the work.

    Raises:
        ModuleNotFoundError: it is missing; names the extra.
    """
    if path.suffix in _LIBRARIES:
        name, extra = _LIBRARIES[path.suffix]
        library(name, extra, f"writing {path.suffix}", "name an .npz output")


def is_reserved(path: Path, name: str) -> bool:
    """Whether no column of this kind of file can have a name.

    npz keeps metadata beside the columns; of AnnData a name is a path in HDF5.
    """
    if path.suffix == ".npz":
        return name in ("embedding", *_METADATA)
    return name == "embedding" or (path.suffix == ".h5ad" and (name == "_index" or "/" in name))
