"""How well a model predicts whole genomes: bits per base, piece by piece."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.intervals import Interval, cut
from dnamamba.inference.reading import Reading
from dnamamba.inference.scoring import Scores, score_sources
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, MASK_EVERY
from dnamamba.inference.sharing import ALONE, Share

__all__ = ["evaluate"]

_GROUP = 1 << 16


def evaluate(
    model: nn.Module,
    tokenizer: Tokenizer,
    pieces: Sequence[Interval],
    *,
    window: int | None = None,
    mask_every: int | None = MASK_EVERY,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
    share: Share = ALONE,
) -> Scores:
    """Score intervals of genomes, streamed: memory does not grow with their length.

    Args:
        model: a ``LanguageModel``; its device and mode are given back.
        tokenizer: the model's.
        pieces: whole contigs or regions, each read as a sequence of its own.
        window: read each piece as windows of so many bases side by side, each a sequence of its
            own, as validation does; None reads each from end to end.
        mask_every: see ``score``.
        batch_size: most pieces or windows side by side; of a model that reads both ways, passes.
        chunk_length: most bases at a time of one piece, by a causal model.
        max_bases: see ``Reading``.
        overlap: see ``Reading``.
        device: where to run; None is where the model is.
        advance: told of the bases done.
        share: of this process, where several divide the work; all are given the whole result.

    Returns:
        Log-likelihood and number of scored bases of each piece.

    Raises:
        ValueError: an argument out of range, or a model that predicts no bases.
    """
    reading = Reading(batch_size, chunk_length, max_bases, overlap, share)
    how = reading, mask_every, device, advance
    log_likelihood = np.zeros(len(pieces))
    bases = np.zeros(len(pieces), dtype=np.int64)
    for group in _groups(cut(pieces, window)):
        owners = np.array([owner for owner, _ in group])
        windows = [piece for _, piece in group]
        scores = score_sources(model, tokenizer, windows, *how)
        np.add.at(log_likelihood, owners, scores.log_likelihood)
        np.add.at(bases, owners, scores.bases)
    return Scores(log_likelihood, bases)


def _groups(windows: Iterator[tuple[int, Interval]]) -> Iterator[list[tuple[int, Interval]]]:
    while group := list(islice(windows, _GROUP)):
        yield group
