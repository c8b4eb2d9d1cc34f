"""Every single-base substitution of a region, scored as a variant by a causal model.

A substitution's score is its log-likelihood ratio as in ``likelihood_ratios``: the substituted base
and the same F reference bases behind it, given all before them, against the reference base and
those F bases. A strand's prefix is read once, from ``context`` bases before the region on; the
state is kept every few positions, each of which serves the substitutions up to the next, and one
pass serves the reference.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.conditional import log_probability
from dnamamba.inference.effects import Surroundings
from dnamamba.inference.prefixes import Prefixes, Tail, read_place, read_prefixes, read_tails
from dnamamba.inference.reading import Reading
from dnamamba.inference.side_by_side import in_order
from dnamamba.inference.sites import Region, base_columns, cased_bases
from dnamamba.inference.sources import grouped
from dnamamba.inference.streaming import carry
from dnamamba.model import LanguageModel

__all__ = ["substitution_ratios"]

Ids = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Positions from one state that is kept to the next: each substitution reads half of it more.
_STRIDE = 16


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
    """Score all substitutions of a region.

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
    how = tokenizer.scored, around.flank, reading, device, advance
    scores = [_walk(model, strand, *how) for strand in strands]
    return [scores[0], *(score[::-1] for score in scores[1:])]


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
    """One base exchanged, read on from a state kept at or before it."""

    stop: Prefixes
    position: int
    base: int
    tail: Ids
    skipped: int


def _walk(
    model: LanguageModel,
    strand: _Strand,
    scored_ids: NDArray[np.bool_],
    flank: int,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None],
) -> Floats:
    """Scores (L, 4) along a strand."""
    scored = torch.tensor(scored_ids, device=device)
    reached = read_prefixes(model, [strand.prefix], reading, device)
    onward = np.concatenate([strand.region, strand.flank])
    reference = _reference(model, reached, onward, flank, scored, reading)
    effects = np.full((len(strand.region), 4), np.nan)
    known = np.flatnonzero(strand.reference >= 0)
    effects[known, strand.reference[known]] = 0.0

    def read(batch: list[_Substitution]) -> list[tuple[_Substitution, Tail]]:
        stops = list({id(s.stop): s.stop for s in batch}.values())
        numbers = {id(stop): number for number, stop in enumerate(stops)}
        before = Prefixes.join(stops).take([numbers[id(s.stop)] for s in batch])
        skipped = [s.skipped for s in batch]
        tails = read_tails(model, before, [s.tail for s in batch], scored, reading, skipped)
        return list(zip(batch, tails, strict=True))

    substitutions = _substitutions(model, reached, strand, onward, flank)
    budget = reading.budget(model.backbone, device)
    batches = grouped(substitutions, lambda s: len(s.tail), reading.batch_size, budget)
    done = 0
    for answers in in_order(read, batches, device):
        for s, tail in answers:
            if tail.bases:
                effects[s.position, s.base] = tail.log_likelihood - reference[s.position]
        advance(s.position - done)
        done = s.position
    advance(len(effects) - done)
    return effects


def _substitutions(
    model: LanguageModel, reached: Prefixes, strand: _Strand, onward: Ids, flank: int
) -> Iterator[_Substitution]:
    """All of them, along the strand."""
    device = reached.hidden.device
    stops = carry(
        model.backbone, [strand.region], reached.state, chunk_length=_STRIDE, device=device
    )
    for chunk in stops:
        first = chunk.start
        for p in range(first, first + chunk.real[0]):
            for base in range(4):
                if strand.reference[p] not in (-1, base):
                    exchanged = strand.alternatives[p, base : base + 1]
                    tail = [onward[first:p], exchanged, onward[p + 1 : p + 1 + flank]]
                    yield _Substitution(reached, p, base, np.concatenate(tail), p - first)
        assert chunk.state is not None
        reached = Prefixes(chunk.hidden[:, -1], chunk.state, torch.ones_like(reached.begun))


def _reference(
    model: LanguageModel,
    before: Prefixes,
    ids: Ids,
    flank: int,
    scored: torch.Tensor,
    reading: Reading,
) -> Floats:
    """(l,) log-likelihood of each base of ``ids`` together with the ``flank`` bases behind it."""
    log_p = [np.zeros(1)]
    last = before.hidden[:, None]
    chunk_length = reading.chunk(1, len(ids), model.backbone, scored.device)
    for chunk in carry(
        model.backbone, [ids], before.state, chunk_length=chunk_length, device=scored.device
    ):
        logits = model.head(torch.cat([last, chunk.hidden[:, :-1]], dim=1))
        targets = torch.from_numpy(ids[chunk.start :][: chunk.real[0]]).to(scored.device)
        counts = scored[targets.long()]
        if chunk.start == 0:
            counts[:1] &= before.begun
        columns = logits.transpose(0, 1), targets[:, None], counts[:, None]
        each, _ = log_probability(*columns)
        log_p.append(each.cpu().numpy())
        last = chunk.hidden[:, -1:]
    sums = np.cumsum(np.concatenate(log_p))
    first = np.arange(len(ids))
    return sums[np.minimum(first + flank + 1, len(ids))] - sums[first]
