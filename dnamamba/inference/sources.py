"""Sequences that a model reads piece by piece, and batches of like length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import whole
from dnamamba.containers import Sequences, members, present

__all__ = ["Encoded", "Source", "buckets", "encode_all"]


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


def encode_all(tokenizer: Tokenizer, sequences: Sequences) -> list[Encoded]:
    """Token ids of sequences given by a user, in any container of ``dnamamba.containers``.

    Raises:
        ValueError: one string in place of a list, an empty list or sequence, what is no sequence,
            the word for a missing value (see ``dnamamba.missing``), or a letter that the tokenizer
            refuses; names the sequence by its position or name.
    """
    if not hasattr(tokenizer, "encode"):
        raise ValueError(f"tokenizer must be the model's, got {type(tokenizer).__name__}")
    encoded = []
    for name, sequence in members(sequences, "sequence", "sequences"):
        encoded.append(Encoded(tokenizer.encode(present(sequence, name), contig=name)))
        if not len(encoded[-1]):
            raise ValueError(f"{name} is empty; leave it out")
    if not encoded:
        raise ValueError("expected at least one sequence, got none")
    return encoded


def buckets(sources: Sequence[Source], batch_size: int) -> Iterator[list[int]]:
    """Numbers of the sources in batches of like length, the longest first, also within a batch.

    Raises:
        ValueError: ``batch_size`` is not positive.
    """
    batch_size = whole("batch_size", batch_size, 1)
    order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
    for at in range(0, len(order), batch_size):
        yield order[at : at + batch_size]
