"""How likely a causal model finds sequences: each base given all before it."""

from collections.abc import Callable, Iterator, Sequence

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

__all__ = ["conditional_bases", "conditional_likelihood", "log_probability"]


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
    _refuse(mask_every)
    scored = on_device(tokenizer.scored.copy(), device)
    # Of what this process does, for all of them.
    told = reading.share.size

    def score(members: list[int]) -> Tensor:
        batch = [_in_memory(sources[i], reading.row) for i in members]
        sums = exact(torch.zeros(2, len(batch), device=device))
        for chunk, logits, targets, counts in _predicted(model, batch, scored, reading, device):
            known = log_probability(logits, targets, counts)
            for total, part in zip(sums, known, strict=True):
                total[: len(part)] += part
            if advance is not None:
                advance(told * sum(chunk.real))
        return sums

    order, answers = each_batch(score, model.backbone, sources, reading, device)
    log_likelihood, bases = np.empty((2, len(sources)))
    log_likelihood[order], bases[order] = torch.cat(answers, 1).cpu().numpy()
    return Scores(log_likelihood, bases.astype(np.int64))


def conditional_bases(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None] | None,
    mask_every: int | None = MASK_EVERY,
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """``conditional_likelihood`` base by base; a single source comes piece by piece.

    Yields:
        The number of a source, in their order, its first base in this piece, and the piece's (l,)
        log-likelihoods, NaN of a base that is not scored. Of a single source the pieces come as
        they are read; several are read side by side, and then each comes whole.
    """
    _refuse(mask_every)
    scored = on_device(tokenizer.scored.copy(), device)
    told = reading.share.size if len(sources) > 1 else 1

    def read(members: list[int]) -> Iterator[tuple[int, Tensor]]:
        batch = [_in_memory(sources[i], reading.row) for i in members]
        for chunk, logits, targets, counts in _predicted(model, batch, scored, reading, device):
            known = _each_log_probability(logits, targets, counts).float()
            skipped = max(chunk.skipped - 1, 0)
            known = known.masked_fill(~counts.to(known.device), torch.nan)[:, skipped:]
            yield chunk.start + 1 + skipped, known
            if advance is not None:
                advance(told * sum(chunk.real))

    def whole(members: list[int]) -> Tensor:
        longest = len(sources[members[0]])
        values = torch.full((len(members), longest), torch.nan)
        for first, known in read(members):
            values[: len(known), first : first + known.shape[1]] = known.cpu()
        lengths = [len(sources[i]) for i in members]
        return torch.cat([row[:n] for row, n in zip(values, lengths, strict=True)])

    if len(sources) == 1:
        reached = 0
        for first, known in read([0]):
            before = np.full(first - reached, np.nan, np.float32)
            yield 0, reached, np.concatenate([before, known[0].cpu().numpy()])
            reached = first + known.shape[1]
        yield 0, reached, np.full(len(sources[0]) - reached, np.nan, np.float32)
        return
    order, answers = each_batch(whole, model.backbone, sources, reading, device)
    lengths = [len(sources[i]) for i in order]
    rows = dict(zip(order, torch.cat(answers).split(lengths), strict=True))
    for number in range(len(sources)):
        yield number, 0, rows[number].numpy()


def _refuse(mask_every: int | None) -> None:
    if mask_every != MASK_EVERY:
        raise ValueError(
            "mask_every has no meaning for a causal model, which masks nothing; leave it out"
        )


def _predicted(
    model: LanguageModel,
    batch: Sequence[Source],
    scored: Tensor,
    reading: Reading,
    device: torch.device,
) -> Iterator[tuple[Chunk, Tensor, Tensor, Tensor]]:
    """The chunks of a batch: logits (rows, l, V), the bases (rows, l) that they predict, and which
    of these count."""
    # Nothing follows the last base that would have to be predicted from it.
    read = [len(source) - 1 for source in batch]
    for chunk in stream(model.backbone, batch, read, reading=reading, device=device):
        targets, inside = (on_device(x, device) for x in _targets(batch, chunk))
        yield chunk, model.head(chunk.hidden), targets, scored[targets.long()] & inside


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
    losses = _each_log_probability(logits, targets, counts)
    return losses.sum(1), counts.sum(1).to(losses.device)


def _each_log_probability(logits: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """(B, L) fp64, of a target that does not count 0."""
    wanted = targets.long()
    losses = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    return -exact(losses.view_as(wanted).masked_fill(~counts, 0.0))
