"""How likely a language model finds sequences."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.containers import Sequences
from dnamamba.inference.sources import Source, buckets, encode_all
from dnamamba.inference.streaming import (
    BATCH_SIZE,
    CHUNK_LENGTH,
    Chunk,
    causal_language_model,
    evaluating,
    stream,
)

__all__ = ["Scores", "log_probability", "score", "score_sources"]


class Scores(NamedTuple):
    """How n sequences are scored.

    Attributes:
        log_likelihood: (n,) float64, natural logarithm of the probability of each sequence's
            scored bases, each given all that stands before it.
        bases: (n,) int64, how many bases were scored: every A, C, G and T, the first included;
            N and IUPAC codes are read but not scored.
    """

    log_likelihood: NDArray[np.float64]
    bases: NDArray[np.int64]

    @property
    def bits_per_base(self) -> NDArray[np.float64]:
        """(n,) float64, ``-log2(probability) / bases``; NaN where no base was scored."""
        known = np.where(self.bases > 0, self.bases, 1)
        bits = -self.log_likelihood / (math.log(2) * known)
        return np.where(self.bases > 0, bits, np.nan)


def score(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str | torch.device | None = None,
) -> Scores:
    """Log-likelihood of sequences of any length.

    The model reads BOS and all bases but the last, and predicts all bases: as in training and
    validation, over all V ids. Scores do not depend, beyond rounding, on the batch, on the
    other sequences, or on the chunks.

    Args:
        model: a ``LanguageModel``; its device and mode are given back.
        tokenizer: the model's.
        sequences: n sequences of at least one base each, at least one: a list, or another container
            of ``dnamamba.containers``; of a mapping the values, in its order.
        batch_size: sequences side by side.
        chunk_length: bases at a time. Memory grows with ``batch_size * chunk_length``, not with
            the sequences.
        device: where to run, as ``cuda``; None is where the model is.

    Raises:
        ValueError: no sequence at all, an empty one, a letter that the tokenizer refuses (both
            named by position or name), a model without a head, or an argument out of range.
    """
    sources = encode_all(tokenizer, sequences)
    return score_sources(model, tokenizer, sources, batch_size, chunk_length, device)


def score_sources(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Scores:
    """What ``score`` does, for sources; ``advance`` is told of every chunk of bases done."""
    language_model = causal_language_model(model, "scoring")
    log_likelihood = np.zeros(len(sources))
    bases = np.zeros(len(sources), dtype=np.int64)
    with evaluating(model, tokenizer, device) as target:
        scored = torch.tensor(tokenizer.scored, device=target)
        for members in buckets(sources, batch_size):
            batch = [sources[i] for i in members]
            # Nothing follows the last base that would have to be predicted from it.
            read = [len(source) - 1 for source in batch]
            backbone = language_model.backbone
            for chunk in stream(backbone, batch, read, chunk_length=chunk_length, device=target):
                targets = _targets(batch, chunk).to(target)
                rows = members[: len(chunk.real)]
                logits = language_model.head(chunk.hidden)
                log_p, counted = log_probability(logits, targets, scored)
                log_likelihood[rows] += log_p.numpy()
                bases[rows] += counted.numpy()
                if advance is not None:
                    advance(sum(chunk.real))
    return Scores(log_likelihood, bases)


def _targets(batch: Sequence[Source], chunk: Chunk) -> Tensor:
    """(rows, l) the base that each position of the chunk predicts, PAD after a row's end."""
    targets = np.full((len(chunk.real), chunk.real[0]), PAD, dtype=np.uint8)
    for row, width in enumerate(chunk.real):
        targets[row, :width] = batch[row].ids(chunk.start + 1, chunk.start + 1 + width)
    return torch.from_numpy(targets)


def log_probability(logits: Tensor, targets: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
    """Log-likelihood of the scored targets of each row, and their number.

    Args:
        logits: (B, L, V).
        targets: (B, L) ids, on the logits' device; PAD where there is nothing to predict.
        scored: (256,) bool, ids that count.

    Returns:
        (B,) fp64 and (B,) int64, on the CPU.
    """
    wanted = targets.long()
    counts = scored[wanted]
    losses = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    losses = torch.where(counts, losses.view_as(wanted), 0.0)
    # Summed in fp64 on the CPU: some devices have none, and differences of sums are wanted.
    return -losses.cpu().double().sum(1), counts.sum(1).cpu()
