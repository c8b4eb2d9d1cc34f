"""Results as a ``DataFrame`` of pandas, whose rows are called as those of what it is of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.containers import is_mapping
from dnamamba.extras import library
from dnamamba.frames import Column, id_column, is_frame

__all__ = ["RowLabels", "row_labels"]

Vectors = NDArray[np.float32]


class RowLabels(NamedTuple):
    """What the rows of a container are called.

    Attributes:
        pandas: the library.
        index: of a table or column of pandas, or the names in a mapping; None where rows have
            numbers alone.
        ids: the values of a table's column of ids; None without one.
    """

    pandas: Any
    index: Any
    ids: list[Any] | None

    def frame(self, columns: Mapping[str, Any]) -> Any:
        """Columns of n values as a frame of n rows, ids before them."""
        n = len(next(iter(columns.values())))
        return self._labelled(self.pandas.DataFrame(dict(columns)), np.arange(n))

    def of_vectors(self, vectors: Vectors | list[Vectors]) -> Any:
        """Vectors as columns ``e0``, ``e1`` and so on, behind the ids.

        Args:
            vectors: (n, d) of n sequences; or of each of them (bases, d), which give one row a
                base with its place in the sequence, ``start`` and ``end``.
        """
        if isinstance(vectors, np.ndarray):
            return self._labelled(self._wide(vectors), np.arange(len(vectors)))
        sizes = [len(each) for each in vectors]
        frame = self._wide(np.concatenate(vectors))
        start = np.concatenate([np.arange(size) for size in sizes])
        frame.insert(0, "start", start)
        frame.insert(1, "end", start + 1)
        return self._labelled(frame, np.repeat(np.arange(len(sizes)), sizes))

    def _wide(self, vectors: Vectors) -> Any:
        names = [f"e{i}" for i in range(vectors.shape[1])]
        return self.pandas.DataFrame(vectors, columns=names)

    def _labelled(self, frame: Any, rows: NDArray[np.int64]) -> Any:
        """A frame whose rows are those of the container with these numbers."""
        frame.index = self.pandas.Index(rows) if self.index is None else self.index[rows]
        if self.ids is not None:
            frame.insert(0, "id", [self.ids[i] for i in rows.tolist()])
        return frame


def row_labels(inputs: Any) -> RowLabels:
    """What the rows of a container are called, looked at before the work.

    Args:
        inputs: see ``containers``.

    Raises:
        ModuleNotFoundError: no pandas; names the extra.
    """
    pandas = library("pandas", "io", "as_frame=True", "leave it out for arrays")
    if hasattr(inputs, "iloc"):  # a table or a column of pandas
        index = inputs.index
    else:
        index = pandas.Index(list(inputs.keys())) if is_mapping(inputs) else None
    ids = id_column(inputs) if is_frame(inputs) else None
    return RowLabels(pandas, index, None if ids is None else _listed(ids))


def _listed(column: Column) -> list[Any]:
    values = column.values
    return list(values.to_pylist() if hasattr(values, "to_pylist") else values)
