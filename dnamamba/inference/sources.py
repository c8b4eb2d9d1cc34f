"""Sequences that a model reads piece by piece, alone and many together."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.containers import Sequences, letters, members, present
from dnamamba.lookup import look_up

__all__ = [
    "Encoded",
    "Source",
    "Sources",
    "encode_all",
    "encode_named",
    "named_letters",
    "sources_of",
]

Ids = NDArray[np.uint8]
Ints = NDArray[np.int64]

# Letters that are looked up together.
_AT_ONCE = 1 << 24


class Source(Protocol):
    """A sequence that is read piece by piece."""

    def __len__(self) -> int:
        """Its bases."""
        ...

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start,) token ids of the bases from ``start`` to before ``stop``."""
        ...


class Sources(Sequence[Any], ABC):
    """n sequences that are read together; one of them, by its number, is a ``Source``.

    So many that nothing may take long for each of them: their lengths are an array, and a batch
    is read by one call.

    Attributes:
        lengths: (n,) int64, the bases of each.
    """

    lengths: Ints

    @abstractmethod
    def take(self, numbers: Sequence[int] | NDArray[Any] | slice) -> "Sources":
        """Some of them, in this order."""

    @abstractmethod
    def write(self, starts: Ints, stops: Ints, out: Ids) -> None:
        """Token ids of the first of them, row by row.

        Args:
            starts: (rows,) the first base that is read of each, at most n rows.
            stops: (rows,) one past the last; of what does not end behind its start none is read.
            out: (rows, l) uint8, rows contiguous; the ids stand at a row's beginning, and what is
                behind them stays as it is.
        """

    def __len__(self) -> int:
        return len(self.lengths)


class _Listed(Sources):
    """Any sources, one by one."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    @cached_property
    def lengths(self) -> Ints:  # type: ignore[override]
        return np.fromiter(map(len, self._sources), np.int64, len(self._sources))

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: Any) -> Any:
        return self._sources[index]

    def take(self, numbers: Sequence[int] | NDArray[Any] | slice) -> "_Listed":
        if isinstance(numbers, slice):
            return _Listed(self._sources[numbers])
        return _Listed([self._sources[i] for i in numbers])

    def write(self, starts: Ints, stops: Ints, out: Ids) -> None:
        each = zip(self._sources, starts.tolist(), stops.tolist(), out, strict=False)
        for source, start, stop, row in each:
            if start < stop:
                row[: stop - start] = source.ids(start, stop)


def sources_of(sources: Sequence[Source]) -> Sources:
    """The same, to be read together."""
    return sources if isinstance(sources, Sources) else _Listed(sources)


@dataclass(frozen=True)
class Encoded:
    """A sequence held in memory."""

    tokens: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.tokens.size)

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        return self.tokens[start:stop]


class _AllEncoded(Sources):
    """Sequences held in memory.

    Args:
        blocks: ids of some sequences each, end to end.
        lengths: (n,) of all.
    """

    def __init__(self, blocks: Sequence[Ids], lengths: Ints) -> None:
        ids = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        self._ids, self.lengths, self._first = ids, lengths, np.cumsum(lengths) - lengths

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(index)
        first = self._first[index]
        return Encoded(self._ids[first : first + self.lengths[index]])

    def take(self, numbers: Sequence[int] | NDArray[Any] | slice) -> "_AllEncoded":
        some = copy(self)
        some.lengths, some._first = self.lengths[numbers], self._first[numbers]
        return some

    def write(self, starts: Ints, stops: Ints, out: Ids) -> None:
        firsts, sizes = self._first[: len(starts)] + starts, stops - starts
        for row, first, size in zip(out, firsts.tolist(), sizes.tolist(), strict=True):
            if size > 0:
                row[:size] = self._ids[first : first + size]


def encode_all(tokenizer: Tokenizer, sequences: Sequences) -> Sources:
    """Token ids of sequences given by a user, in any container of ``dnamamba.containers``.

    Raises:
        ValueError: one string in place of a list, an empty list or sequence, what is no sequence,
            the word for a missing value (see ``dnamamba.missing``), or a letter that the tokenizer
            refuses; names the sequence by its position or name.
    """
    if not hasattr(tokenizer, "encode"):
        raise ValueError(f"tokenizer must be the model's, got {type(tokenizer).__name__}")
    return encode_named(tokenizer, named_letters(sequences))


def named_letters(sequences: Sequences) -> Iterator[tuple[str, bytes | bytearray]]:
    """The letters of each sequence, with its name. Raises: see ``encode_all``."""
    for name, sequence in members(sequences, "sequence", "sequences"):
        raw = letters(present(sequence, name), name)
        if not raw:
            raise ValueError(f"{name} is empty; leave it out")
        yield name, raw


def encode_named(
    tokenizer: Tokenizer, sequences: Iterable[tuple[str, bytes | bytearray]]
) -> Sources:
    """Token ids of sequences, each with the name that an error calls it by.

    Raises:
        ValueError: none at all, or a letter that the tokenizer refuses; and what is raised where
            they come from, once no sequence before it is refused.
    """
    blocks: list[Ids] = []
    sizes: list[int] = []
    named: list[tuple[str, bytes | bytearray]] = []
    size = 0
    try:
        for name, raw in sequences:
            named.append((name, raw))
            sizes.append(len(raw))
            size += len(raw)
            if size >= _AT_ONCE:
                blocks.append(_encode(tokenizer, named))
                named, size = [], 0
    except ValueError:
        _encode(tokenizer, named)  # a letter refused in one before is the first error
        raise
    if not sizes:
        raise ValueError("expected at least one sequence, got none")
    blocks.append(_encode(tokenizer, named))
    return _AllEncoded(blocks, np.array(sizes, dtype=np.int64))


def _encode(tokenizer: Tokenizer, named: Sequence[tuple[str, bytes | bytearray]]) -> Ids:
    """Token ids of sequences end to end, each with its name, in one look-up."""
    joined = np.frombuffer(b"".join([raw for _, raw in named]), dtype=np.uint8)
    ids = np.empty(len(joined), dtype=np.uint8)
    at = look_up(tokenizer.table, joined, ids)
    if at >= 0:
        ends = np.cumsum([len(raw) for _, raw in named], dtype=np.int64)
        number = int(np.searchsorted(ends, at, side="right"))
        first = int(ends[number - 1]) if number else 0
        raise ValueError(tokenizer.refusal(int(joined[at]), named[number][0], at - first))
    return ids
