"""How well a model predicts whole genomes: bits per base, piece by piece."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.intervals import Interval, cut
from dnamamba.inference.reading import Reading
from dnamamba.inference.scoring import Scores, score_bases, score_sources
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, MASK_EVERY
from dnamamba.inference.sharing import ALONE, Share

__all__ = ["evaluate", "evaluate_bases"]

_GROUP = 1 << 16
# Bases whose values are in memory together; a longer piece is streamed.
_BASES = 1 << 24


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


def evaluate_bases(
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
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Log-likelihood of every base, in order: memory does not grow with the pieces' length.

    The arguments are those of ``evaluate``, whose figures are the sums of these. Between what it
    yields PyTorch stays in inference mode.

    Yields:
        The number of a piece, in their order, the 0-based place on its contig of this part's first
        base, and the part's (l,) log-likelihoods in nats, in the order of the plus strand
        whichever was read; NaN of a base that is not scored. A window on the minus strand is in
        memory whole.

    Raises:
        ValueError: an argument out of range, or a model that predicts no bases.
    """
    reading = Reading(batch_size, chunk_length, max_bases, overlap, share)
    how = reading, mask_every, device, advance
    for group in _groups(cut(pieces, window), _BASES):
        windows = [piece for _, piece in group]
        parts = score_bases(model, tokenizer, windows, *how)
        for number, of_window in groupby(parts, itemgetter(0)):
            owner, piece = group[number]
            if piece.strand == "-":  # from its end
                values = [values for *_, values in of_window]
                yield owner, piece.start, np.concatenate(values)[::-1]
                continue
            for _, first, part in of_window:
                yield owner, piece.start + first, part


def _groups(
    windows: Iterator[tuple[int, Interval]], most: int | None = None
) -> Iterator[list[tuple[int, Interval]]]:
    """Neighbours, of ``most`` bases together or one of more."""
    group: list[tuple[int, Interval]] = []
    bases = 0
    for owner, piece in windows:
        bases += len(piece)
        if group and (len(group) == _GROUP or (most is not None and bases > most)):
            yield group
            group, bases = [], len(piece)
        group.append((owner, piece))
    if group:
        yield group
