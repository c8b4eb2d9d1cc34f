"""Sequences that a model reads piece by piece, and batches of like length."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.containers import Sequences, letters, members, present
from dnamamba.lookup import look_up

__all__ = ["Encoded", "Opposite", "Source", "buckets", "encode_all", "grouped"]

Item = TypeVar("Item")

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


@dataclass(frozen=True)
class Encoded:
    """A sequence held in memory."""

    tokens: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.tokens.size)

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        return self.tokens[start:stop]


class Opposite:
    """The other strand of a source, read 5' to 3'."""

    def __init__(self, source: Source, tokenizer: Tokenizer) -> None:
        self.source, self.tokenizer = source, tokenizer

    def __len__(self) -> int:
        return len(self.source)

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start,) token ids of the bases from ``start`` to before ``stop``."""
        n = len(self.source)
        return self.tokenizer.reverse_complement(self.source.ids(n - stop, n - start))


def encode_all(tokenizer: Tokenizer, sequences: Sequences) -> list[Encoded]:
    """Token ids of sequences given by a user, in any container of ``dnamamba.containers``.

    Raises:
        ValueError: one string in place of a list, an empty list or sequence, what is no sequence,
            the word for a missing value (see ``dnamamba.missing``), or a letter that the tokenizer
            refuses; names the sequence by its position or name.
    """
    if not hasattr(tokenizer, "encode"):
        raise ValueError(f"tokenizer must be the model's, got {type(tokenizer).__name__}")
    encoded: list[Encoded] = []
    named: list[tuple[str, bytes | bytearray]] = []
    size = 0
    try:
        for name, sequence in members(sequences, "sequence", "sequences"):
            raw = letters(present(sequence, name), name)
            if not raw:
                raise ValueError(f"{name} is empty; leave it out")
            named.append((name, raw))
            size += len(raw)
            if size >= _AT_ONCE:
                encoded += _encode(tokenizer, named)
                named, size = [], 0
    except ValueError:
        _encode(tokenizer, named)  # a letter refused in one before is the first error
        raise
    encoded += _encode(tokenizer, named)
    if not encoded:
        raise ValueError("expected at least one sequence, got none")
    return encoded


def _encode(tokenizer: Tokenizer, named: Sequence[tuple[str, bytes | bytearray]]) -> list[Encoded]:
    """Token ids of sequences, each with its name, in one look-up."""
    joined = np.frombuffer(b"".join([raw for _, raw in named]), dtype=np.uint8)
    ids = np.empty(len(joined), dtype=np.uint8)
    ends = np.cumsum([len(raw) for _, raw in named], dtype=np.int64)
    at = look_up(tokenizer.table, joined, ids)
    if at >= 0:
        number = int(np.searchsorted(ends, at, side="right"))
        first = int(ends[number - 1]) if number else 0
        raise ValueError(tokenizer.refusal(int(joined[at]), named[number][0], at - first))
    return [Encoded(tokens) for tokens in np.split(ids, ends[:-1])] if named else []


def buckets(
    sources: Sequence[Source], batch_size: int, most: int | None = None, row: int | None = None
) -> Iterator[list[int]]:
    """Numbers of the sources in batches of like length, the longest first, also within a batch.

    Args:
        sources: the sequences.
        batch_size: most of them in a batch.
        most: most bases in a batch, padding included; a longer sequence stands alone. None: any.
        row: as how many bases a longer sequence counts, which is read piece by piece; None: all.
    """
    sizes = [len(source) for source in sources]
    order = sorted(range(len(sources)), key=lambda i: -sizes[i])
    yield from grouped(order, lambda i: min(sizes[i], row or sizes[i]), batch_size, most)


def grouped(
    items: Iterable[Item], size: Callable[[Item], int], batch_size: int, most: int | None = None
) -> Iterator[list[Item]]:
    """Neighbours in batches, read no further than the one that is yielded and one item more.

    Args:
        items: what is to be batched.
        size: bases of an item.
        batch_size: most items in a batch.
        most: most bases in a batch, all its items counted as long as the longest; a longer item
            stands alone. None: any.
    """
    batch: list[Item] = []
    width = 0
    for item in items:
        wider = max(width, size(item))
        crowded = most is not None and wider * (len(batch) + 1) > most
        if batch and (crowded or len(batch) == batch_size):
            yield batch
            batch, wider = [], size(item)
        batch.append(item)
        width = wider
    if batch:
        yield batch
