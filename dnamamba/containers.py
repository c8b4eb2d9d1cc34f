"""What users keep sequences in, told by what it can do: no library is imported for it.

One sequence is text or bytes, Biopython's ``Seq`` and ``SeqRecord``, a record or a piece of
``pyfaidx``, a scalar of ``pyarrow``, or a NumPy array of characters. Several of them are anything
that gives them in an order (a list, tuple, generator, array, column or index), or a mapping of
names to them (a dict, ``SeqIO.to_dict``, ``pyfaidx.Fasta``), or a table with a column of them
(see ``frames``). One of several that is the word for a missing value, as NA or nan, is refused (see
``present``).
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dnamamba.frames import Column, column_of, is_frame
from dnamamba.missing import missing_for_sequence

__all__ = ["Sequences", "is_mapping", "letters", "members", "present"]

Sequences = Any
"""Several sequences, in one of the containers above."""

_CHARACTERS = ("u1", "S1", "U1")
_SHORT = 32  # bytes; no word for a missing value has as many


def letters(sequence: Any, name: str) -> bytes | bytearray:
    """The letters of one sequence, a byte each.

    Args:
        sequence: in one of the forms above.
        name: of it, for errors.

    Raises:
        ValueError: no sequence, or text that is not UTF-8; names it.
    """
    plain = _plain(sequence, name)
    if isinstance(plain, str):
        return plain.encode("latin-1", "replace")
    if isinstance(plain, bytes | bytearray):
        return plain
    if isinstance(plain, memoryview) and plain.itemsize == 1:
        return plain.tobytes()
    if isinstance(plain, np.ndarray) and plain.ndim == 1 and plain.dtype.str[1:] in _CHARACTERS:
        if plain.dtype.kind == "U":
            return "".join(plain.tolist()).encode("latin-1", "replace")
        return plain.tobytes()
    if hasattr(plain, "__bytes__") and not isinstance(plain, os.PathLike):
        try:
            return bytes(plain)
        except Exception as error:  # Biopython's, of a sequence of which only the length is known
            raise ValueError(f"{name} gives no bases: {error}") from error
    kind = f"an array of {plain.dtype}" if isinstance(plain, np.ndarray) else type(plain).__name__
    remedy = "; leave missing values out" if _is_no_value(plain) else ""
    raise ValueError(f"{name} must be a string or bytes, got {kind}{remedy}")


def present(sequence: Any, name: str) -> Any:
    """An item of a container, unless it is the word for a missing value.

    That is what a cast to text makes of values that are missing. Text and bytes can be such a
    word (see ``dnamamba.missing``); records, arrays and a ``Seq`` hold the bases that they hold,
    as a FASTA does.

    Raises:
        ValueError: it is one; names it.
    """
    value = _unpacked(sequence, name)
    if isinstance(value, bytes) and len(value) < _SHORT:
        value = value.decode("latin-1")
    if isinstance(value, str) and (problem := missing_for_sequence(value)):
        raise ValueError(f"{name} {problem}")
    return sequence


def members(inputs: Any, what: str, plural: str) -> Iterator[tuple[str, Any]]:
    """The items of a container in its order, each with a name for errors.

    Args:
        inputs: a container.
        what: an item is called, as "sequence".
        plural: of it; items are called ``plural[0]``, ``plural['name']`` in a mapping, and by
            column and row in a table.

    Raises:
        ValueError: no container, one without an order, or a table without a column of sequences;
            says what to give instead.
    """
    expected = f"expected a list of {plural}"
    if isinstance(inputs, os.PathLike):
        raise ValueError(f"{expected}, got a path, {inputs}; read the file first")
    if isinstance(inputs, Column):
        return inputs.members()
    if is_frame(inputs):
        if what == "sequence":
            return column_of(inputs).members()
        raise ValueError(
            f"{expected}, got a {type(inputs).__name__}; give the column that holds them, as "
            f"table['{what}']"
        )
    if _is_one(inputs):
        kind = "string" if isinstance(inputs, str | bytes) else type(inputs).__name__
        raise ValueError(f"{expected}, got one {kind}; wrap it in a list")
    if isinstance(inputs, set | frozenset):
        raise ValueError(f"{expected}, got a {type(inputs).__name__}, which has no order; sort it")
    if is_mapping(inputs):
        return ((f"{plural}[{name!r}]", inputs[name]) for name in inputs.keys())  # noqa: SIM118
    try:
        items = iter(inputs)
    except TypeError:
        raise ValueError(f"{expected}, got {type(inputs).__name__}") from None
    return ((f"{plural}[{i}]", item) for i, item in enumerate(items))


def _plain(sequence: Any, name: str) -> Any:
    """Free of the shells of other libraries."""
    sequence = _unpacked(sequence, name)
    if _is_record(sequence):
        sequence = sequence[:]
    if hasattr(sequence, "seq") and not hasattr(sequence, "__bytes__"):  # pyfaidx, pysam
        sequence = sequence.seq
    return sequence


def _unpacked(value: Any, name: str) -> Any:
    """A scalar of a library of columns as Python's."""
    if hasattr(value, "as_py"):  # pyarrow
        try:
            value = value.as_py()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is not UTF-8: {error}") from error
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _is_no_value(value: Any) -> bool:
    """None, NaN, or the NA of pandas."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _is_record(value: Any) -> bool:
    """Whether it is a ``pyfaidx.FastaRecord``, whose bases are those of its full slice."""
    return hasattr(value, "unpadded_len") and hasattr(value, "name")


def _is_one(value: Any) -> bool:
    """Whether it is one sequence and no container of them."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 or (value.ndim == 1 and value.dtype == np.uint8)
    if hasattr(value, "to_numpy"):  # a column of pandas, which has its rows' names as attributes
        return False
    if isinstance(value, str | bytes | bytearray | memoryview):
        return True
    shells = ("__bytes__", "as_py", "seq")
    return any(hasattr(value, shell) for shell in shells) or _is_record(value)


def is_mapping(value: Any) -> bool:
    """Whether it gives sequences by names.

    A column of pandas has keys too, but what it gives one by one are its values.
    """
    keyed = callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__")
    return isinstance(value, Mapping) or (keyed and not hasattr(value, "to_numpy"))
