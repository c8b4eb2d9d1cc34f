"""Masked bases, guessed from what stands on both sides of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.arrival import to_host, trailing
from dnamamba.inference.batching import grouped
from dnamamba.inference.reading import Reading
from dnamamba.inference.sharing import in_order
from dnamamba.inference.streaming import on_device, read_rows
from dnamamba.model.language_model import LanguageModel

__all__ = ["Asked", "Query", "ask", "guess", "mask_out"]


Ids = NDArray[np.uint8]


class Query(NamedTuple):
    """A window with masked bases, and what is asked of them.

    Attributes:
        owner: the number of what it belongs to.
        tokens: (l,) uint8 ids of the window, the mask in it.
        places: (n,) int64 positions in the window, at least one; one may occur several times.
        ids: (n,) uint8, for each of these places an id whose probability is asked.
    """

    owner: int
    tokens: Ids
    places: NDArray[np.int64]
    ids: Ids


def mask_out(tokens: Ids, places: NDArray[np.int64], tokenizer: Tokenizer) -> Ids:
    """A copy with the mask at some places; the tokenizer must have one."""
    assert tokenizer.mask is not None
    masked = tokens.copy()
    masked[places] = tokenizer.mask
    return masked


class Asked(NamedTuple):
    """A batch of queries that the device works on.

    Attributes:
        queries: the batch.
        answers: waits for all that it asks, natural logarithms one query after the other.
    """

    queries: Sequence[Query]
    answers: Callable[[], NDArray[np.float32]]

    def each(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Of each query the owner, and (n,) its answers."""
        ends = np.cumsum([len(query.places) for query in self.queries])
        parts = np.split(self.answers().astype(np.float64), ends[:-1])
        yield from zip([query.owner for query in self.queries], parts, strict=True)


def guess(
    model: LanguageModel, queries: Iterable[Query], reading: Reading, device: torch.device
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Answer queries, a batch of them at a time; neighbours share a batch.

    Args:
        model: reads both ways; in evaluation mode, on ``device``.
        queries: taken as they are needed.
        reading: what bounds the memory.
        device: where the model is.

    Yields:
        Of each query, in order, the owner, and (n,) natural logarithms of the probabilities of
        its ids at its places, over all V ids.
    """
    asking = ask(model, queries, reading, device)
    for asked in trailing(asking, device, reading.share.size):
        yield from asked.each()


def ask(
    model: LanguageModel, queries: Iterable[Query], reading: Reading, device: torch.device
) -> Iterator[Asked]:
    """``guess`` without its answers: what gives the device its work and does not wait for it."""
    budget = reading.agreed(model.backbone, device)
    batches = grouped(queries, lambda query: len(query.tokens), reading.batch_size, budget)
    work = partial(_ask, model, device)
    for batch, answers in in_order(work, batches, _positions, device, reading.share):
        yield Asked(batch, answers)


def _positions(batch: Sequence[Query]) -> int:
    """Of a batch, padding included."""
    return len(batch) * max(len(query.tokens) for query in batch)


def _ask(
    model: LanguageModel, device: torch.device, batch: Sequence[Query]
) -> Callable[[], NDArray[np.float32]]:
    hidden = read_rows(model.backbone, [query.tokens for query in batch], device)
    counts = [len(query.places) for query in batch]
    rows = np.repeat(np.arange(len(batch)), counts)
    places = np.concatenate([query.places for query in batch])
    ids = np.concatenate([query.ids for query in batch]).astype(np.int64)
    at, of, wanted = (on_device(x, device) for x in (rows, places, ids))
    log_p = model.head(hidden[at, of]).float().log_softmax(-1)
    return to_host(log_p.gather(1, wanted[:, None])[:, 0])
