"""Every single-base substitution of a region, scored as a variant by a causal model.

A substitution's score is its log-likelihood ratio as in ``likelihood_ratios``: the substituted base
and the same F reference bases behind it, given all before them, against the reference base and
those F bases. A strand's prefix is read once, from ``context`` bases before the region on; the
state is kept every few positions, each of which serves the substitutions up to the next, and one
pass serves the reference.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.arrival import to_host, trailing
from dnamamba.inference.batching import grouped
from dnamamba.inference.conditional import log_probability
from dnamamba.inference.effects import BASES, Surroundings
from dnamamba.inference.places import read_place
from dnamamba.inference.prefixes import Prefixes, read_on, read_prefixes, read_tails
from dnamamba.inference.reading import Reading
from dnamamba.inference.rows import Rows, pad
from dnamamba.inference.sharing import in_order
from dnamamba.inference.sites import Region, base_columns, cased_bases
from dnamamba.inference.streaming import on_device
from dnamamba.model import LanguageModel

__all__ = ["substitution_ratios"]

Ids = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Positions from one state that is kept to the next: each substitution reads half of it more. An
# accelerator reads so few positions as slowly as many.
_STRIDE_CPU = 16
_STRIDE = 64
_OTHERS = len(BASES) - 1  # substitutions of a position


class _Strand(NamedTuple):
    """What is read of one strand, token ids along it; alternatives (L, 4) in the order of BASES."""

    prefix: Ids
    flank: Ids
    region: Ids
    alternatives: Ids
    reference: NDArray[np.int64]  # (L,) column of the reference's base, -1 for none


def substitution_ratios(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    region: Region,
    around: Surroundings,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None],
) -> list[Floats]:
    """Score all substitutions of a region, the strands side by side.

    Args:
        model: causal, in evaluation mode, on ``device``.
        tokenizer: the model's.
        genome: the reference.
        region: what to substitute.
        around: what is read around each base; behind the region's first base, the prefix grows.
        reading: what bounds the memory.
        device: where the model is.
        advance: told of the bases done, each once a strand.

    Returns:
        Of each strand (L, 4), in the order of the plus strand's positions and bases.
    """
    strands = _strands(genome, tokenizer, region, around)[: 2 if around.both_strands else 1]
    settled = reading.settled(model.backbone, device)
    scored = on_device(tokenizer.scored.copy(), device)
    forward, *others = _walk(model, strands, scored, around.flank, settled, device, advance)
    return [forward, *(scores[::-1] for scores in others)]


def _strands(
    genome: Genome, tokenizer: Tokenizer, region: Region, around: Surroundings
) -> tuple[_Strand, _Strand]:
    """The region on the plus and on the minus strand."""
    place = read_place(genome, tokenizer, *region, around.context, around.flank)
    alternatives, column = cased_bases(tokenizer, place.letters), base_columns(place.letters)
    ids = tokenizer.encode(place.letters)
    plus = ids, alternatives, column
    minus = (
        tokenizer.reverse_complement(ids),
        tokenizer.complement(alternatives)[::-1],
        column[::-1],
    )
    ends = zip(place.prefixes, place.flanks, (plus, minus), strict=True)
    forward, reverse = (_Strand(prefix, flank, *own) for prefix, flank, own in ends)
    return forward, reverse


class _Substitution(NamedTuple):
    """One base exchanged, read on from a state kept at or before it.

    Attributes:
        stop: what stands there, a row a strand.
        place: strand, position and column of the base.
        parts: the tail: the bases up to the position, which are skipped, the base, its flank.
    """

    stop: Prefixes
    place: tuple[int, int, int]
    parts: tuple[Ids, Ids, Ids]

    def __len__(self) -> int:
        return sum(map(len, self.parts))


def _walk(
    model: LanguageModel,
    strands: Sequence[_Strand],
    scored: torch.Tensor,
    flank: int,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None],
) -> Floats:
    """Scores (strands, L, 4), each along its strand."""
    reached = read_prefixes(model, [s.prefix for s in strands], reading, device)
    onward = pad([(s.region, s.flank) for s in strands])
    log_p = to_host(_reference(model, reached, onward, scored, reading))
    columns = np.stack([s.reference for s in strands])
    effects = np.where(columns[..., None] == np.arange(len(BASES)), 0.0, np.nan)

    substitutions = _substitutions(model, reached, strands, onward, flank, reading)
    batches = grouped(
        substitutions, len, reading.batch_size, reading.agreed(model.backbone, device)
    )
    work, share = partial(_answer, model, scored, reading), reading.share
    answers = (
        (np.array([s.place for s in batch]).T, arrive)
        for batch, arrive in in_order(work, batches, _positions, device, share)
    )
    reference, read, done = None, 0, 0
    for (strand, position, base), arrive in trailing(answers, device, share.size):
        if reference is None:
            reference = _windows(log_p(), flank, columns.shape[1])
        log_likelihood, bases = arrive()
        ratios = log_likelihood - reference[strand, position]
        effects[strand, position, base] = np.where(bases > 0, ratios, np.nan)
        read += len(position)
        advance(read // _OTHERS - done)
        done = read // _OTHERS
    advance(columns.size - done)
    return effects


def _answer(
    model: LanguageModel, scored: torch.Tensor, reading: Reading, batch: Sequence[_Substitution]
) -> Callable[[], Floats]:
    """(2, n) log-likelihood and bases, on their way."""
    stops = {id(s.stop): s.stop for s in batch}
    firsts = np.cumsum([0, *(len(stop.begun) for stop in stops.values())])[:-1]
    rows = dict(zip(stops, firsts.tolist(), strict=True))
    owners = np.array([rows[id(s.stop)] + s.place[0] for s in batch])
    before = Prefixes.join(list(stops.values())).take(owners)
    skipped = np.array([len(s.parts[0]) for s in batch])
    tails = read_tails(model, before, pad([s.parts for s in batch]), scored, reading, skipped)
    return to_host(torch.stack([tails.log_likelihood, tails.bases]))


def _positions(batch: Sequence[_Substitution]) -> int:
    """Of a batch, padding included."""
    return len(batch) * max(map(len, batch))


def _substitutions(
    model: LanguageModel,
    reached: Prefixes,
    strands: Sequence[_Strand],
    onward: Rows,
    flank: int,
    reading: Reading,
) -> Iterator[_Substitution]:
    """All of them, along the strands, which take turns."""
    stride = _STRIDE_CPU if reached.hidden.device.type == "cpu" else _STRIDE
    steps = replace(reading, chunk_length=min(stride, reading.chunk_length))
    begun = torch.ones_like(reached.begun)
    regions = np.stack([s.region for s in strands])
    for stretch in read_on(model, reached, regions, steps):
        first, last = stretch.start, stretch.start + stretch.tokens.shape[1]
        for number, strand in enumerate(strands):
            ids = onward.tokens[number, : onward.lengths[number]]
            for p in range(first, last):
                for base in range(len(BASES)):
                    if strand.reference[p] not in (-1, base):
                        exchanged = strand.alternatives[p, base : base + 1]
                        parts = ids[first:p], exchanged, ids[p + 1 : p + 1 + flank]
                        yield _Substitution(reached, (number, p, base), parts)
        reached = Prefixes(stretch.hidden[:, -1].float(), stretch.state, begun)


def _reference(
    model: LanguageModel, before: Prefixes, rows: Rows, scored: torch.Tensor, reading: Reading
) -> torch.Tensor:
    """(n, L) fp64 log-likelihood of each base of the rows, 0 of one that is not scored."""
    ends = on_device(rows.lengths, scored.device)
    parts = []
    for stretch in read_on(model, before, rows.tokens, reading):
        at = torch.arange(stretch.tokens.shape[1], device=scored.device) + stretch.start
        counts = scored[stretch.tokens.long()] & (at < ends[:, None])
        if stretch.start == 0:
            counts[:, 0] &= before.begun
        logits = model.head(stretch.before)
        columns = logits.flatten(0, 1), stretch.tokens.flatten(), counts.flatten()
        each, _ = log_probability(*(column[:, None] for column in columns))
        parts.append(each.view(counts.shape))
    return torch.cat(parts, 1)


def _windows(log_p: Floats, flank: int, size: int) -> Floats:
    """(n, size) log-likelihood of each base together with the ``flank`` bases behind it."""
    sums = np.concatenate([np.zeros((len(log_p), 1)), log_p.cumsum(1)], axis=1)
    first = np.arange(size)
    return sums[:, np.minimum(first + flank + 1, log_p.shape[1])] - sums[:, first]
