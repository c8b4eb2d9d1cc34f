"""How likely a language model finds sequences."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.containers import Sequences
from dnamamba.inference.conditional import conditional_bases, conditional_likelihood
from dnamamba.inference.models import evaluating, method_of
from dnamamba.inference.pseudo_likelihood import pseudo_bases, pseudo_likelihood
from dnamamba.inference.reading import Reading
from dnamamba.inference.scores import Scores
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, MASK_EVERY
from dnamamba.inference.sources import Source, encode_all

__all__ = ["Scores", "score", "score_bases", "score_settings", "score_sources"]


def score(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    mask_every: int | None = MASK_EVERY,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
) -> Scores:
    """Log-likelihood of sequences of any length.

    A causal model reads a start token and all bases but the last, and predicts all bases: as in
    training and validation, over all V ids. A model without a start token has nothing to predict
    the first base from, and does not score it. A model that reads both ways guesses every base
    from all others, the base itself masked: the sum of the log-probabilities is the
    pseudo-log-likelihood (see ``pseudo_likelihood``); it is no probability of the sequence, and
    not to be compared with a causal model's.

    Scores do not depend, beyond rounding, on the batch, on the other sequences, or on the chunks
    of a causal model. What a model that reads both ways cannot hold at a time it reads in windows.

    Args:
        model: a ``LanguageModel``; its device and mode are given back.
        tokenizer: the model's.
        sequences: n sequences of at least one base each, at least one: a list, or another container
            of ``dnamamba.containers``; of a mapping the values, in its order.
        mask_every: k, of a model that reads both ways: mask every k-th base at a time, in k passes;
            None masks one base at a time, in as many passes as there are bases.
        batch_size: most sequences side by side; of a model that reads both ways, passes.
        chunk_length: most bases at a time of one sequence, by a causal model. Memory grows with
            neither the sequences nor their number: see ``max_bases``.
        max_bases: see ``Reading``.
        overlap: see ``Reading``.
        device: where to run, as ``cuda``; None is where the model is.

    Raises:
        ValueError: no sequence at all, an empty one, a letter that the tokenizer refuses (both
            named by position or name), a model without a head or a mask, or an argument out of
            range.
    """
    sources = encode_all(tokenizer, sequences)
    reading = Reading(batch_size, chunk_length, max_bases, overlap)
    return score_sources(model, tokenizer, sources, reading, mask_every, device)


def score_sources(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    reading: Reading = Reading(),  # noqa: B008 (frozen)
    mask_every: int | None = MASK_EVERY,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Scores:
    """What ``score`` does, for sources; ``advance`` is told of the bases done."""
    language_model, likelihood = method_of(
        model,
        tokenizer,
        "scoring",
        causal=conditional_likelihood,
        masked=pseudo_likelihood,
    )
    with evaluating(model, tokenizer, device) as target:
        how = reading, target, advance, mask_every
        return likelihood(language_model, tokenizer, sources, *how)


def score_bases(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    reading: Reading = Reading(),  # noqa: B008 (frozen)
    mask_every: int | None = MASK_EVERY,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """What ``score_sources`` sums up, base by base.

    Yields:
        The number of a source, in their order, its first base in this piece, and the piece's (l,)
        log-likelihoods in nats, NaN of a base that is not scored. A single source is streamed;
        of several the values are in memory. Between the pieces PyTorch stays in inference mode.
    """
    language_model, likelihood = method_of(
        model, tokenizer, "scoring", causal=conditional_bases, masked=pseudo_bases
    )
    with evaluating(model, tokenizer, device) as target:
        how = reading, target, advance, mask_every
        yield from likelihood(language_model, tokenizer, sources, *how)


def score_settings(
    model: nn.Module, tokenizer: Tokenizer, mask_every: int | None
) -> dict[str, Any]:
    """What is to be written beside scores: by which method they came, if not the causal one.

    Raises:
        ValueError: the model does not score.
    """
    causal: dict[str, Any] = {}
    masked = {"score": "pseudo-likelihood", "mask_every": mask_every}
    return method_of(model, tokenizer, "scoring", causal=causal, masked=masked)[1]
