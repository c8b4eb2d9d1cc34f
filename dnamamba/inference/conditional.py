"""How likely a causal model finds sequences: each base given all before it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.inference.reading import Reading
from dnamamba.inference.scores import Scores
from dnamamba.inference.settings import MASK_EVERY
from dnamamba.inference.sources import Encoded, Source
from dnamamba.inference.streaming import Chunk, each_batch, exact, on_device, stream
from dnamamba.model.language_model import LanguageModel

__all__ = ["conditional_likelihood", "log_probability"]


def conditional_likelihood(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None] | None,
    mask_every: int | None = MASK_EVERY,
) -> Scores:
    """Score sequences.

    The model reads its start tokens and all bases but the last, and predicts all bases, of a model
    without a start token all but the first: as in training and validation, over all V ids.

    Args:
        model: causal, in evaluation mode, on ``device``.
        tokenizer: the model's.
        sources: the sequences.
        reading: what bounds the memory.
        device: where the model is.
        advance: told of the bases done.
        mask_every: what a model that reads both ways takes; here the default alone.

    Raises:
        ValueError: ``mask_every`` was set.
    """
    if mask_every != MASK_EVERY:
        raise ValueError(
            "mask_every has no meaning for a causal model, which masks nothing; leave it out"
        )
    scored = on_device(tokenizer.scored.copy(), device)
    # Of what this process does, for all of them.
    told = reading.share.size

    def score(members: list[int]) -> Tensor:
        batch = [_in_memory(sources[i], reading.row) for i in members]
        sums = exact(torch.zeros(2, len(batch), device=device))
        # Nothing follows the last base that would have to be predicted from it.
        read = [len(source) - 1 for source in batch]
        for chunk in stream(model.backbone, batch, read, reading=reading, device=device):
            targets, inside = (on_device(x, device) for x in _targets(batch, chunk))
            logits = model.head(chunk.hidden)
            known = log_probability(logits, targets, scored[targets.long()] & inside)
            for total, part in zip(sums, known, strict=True):
                total[: len(part)] += part
            if advance is not None:
                advance(told * sum(chunk.real))
        return sums

    order, answers = each_batch(score, model.backbone, sources, reading, device)
    log_likelihood, bases = np.empty((2, len(sources)))
    log_likelihood[order], bases[order] = torch.cat(answers, 1).cpu().numpy()
    return Scores(log_likelihood, bases.astype(np.int64))


def _in_memory(source: Source, most: int) -> Source:
    """The same, read now if it is short: its bases are asked for twice, as input and as target."""
    return Encoded(source.ids(0, len(source))) if len(source) <= most else source


def _targets(batch: Sequence[Source], chunk: Chunk) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(rows, l) the base that each position of the chunk predicts, and whether it predicts one.

    Start tokens but the last predict the next of them, and padding nothing.
    """
    targets = np.full((len(chunk.real), chunk.real[0]), PAD, dtype=np.uint8)
    inside = np.zeros(targets.shape, dtype=np.bool_)
    skipped = max(chunk.skipped - 1, 0)
    for row, width in enumerate(chunk.real):
        if width > skipped:
            first = chunk.start + 1 + skipped
            targets[row, skipped:width] = batch[row].ids(first, first + width - skipped)
            inside[row, skipped:width] = True
    return targets, inside


def log_probability(logits: Tensor, targets: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Log-likelihood of the targets of each row that count, and their number.

    Args:
        logits: (B, L, V).
        targets: (B, L) ids, on the logits' device; any id where there is nothing to predict.
        counts: (B, L) bool, which of them count.

    Returns:
        (B,) fp64 and (B,) int64, on the logits' device if it has fp64, else on the CPU.
    """
    wanted = targets.long()
    losses = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    losses = exact(losses.view_as(wanted).masked_fill(~counts, 0.0))
    return -losses.sum(1), counts.sum(1).to(losses.device)
