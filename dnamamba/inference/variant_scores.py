"""How much likelier a model finds a variant than its reference, without training for it.

On each strand the model reads BOS and at most ``context`` bases before the allele, the prefix;
then the allele a and F flank bases, the same reference bases behind REF as behind ALT. With

    S(a) = Σ log p(base | all before it) over the n(a) scored bases of a and the flank,

the score of a strand is the difference of the log-likelihoods per base, times the harmonic mean
of their numbers of bases:

    LLR = 2 n(REF) n(ALT) / (n(REF) + n(ALT)) * (S(ALT) / n(ALT) - S(REF) / n(REF)).

- Alleles of one length: LLR = S(ALT) - S(REF), the log-likelihood ratio.
- Alleles of different lengths: LLR = S(ALT) - S(REF) - (n(ALT) - n(REF)) m, where m is the mean
  log-probability of all bases of both: the longer allele is given back what its further bases
  cost on average. Where all bases are equally likely, LLR is 0 at any length.
- Swapping REF and ALT changes the sign alone. How an indel is written (padding, which copy of a
  repeat) matters only in so far as prefix and flank end elsewhere.

The minus strand is read likewise, its prefix the reverse complement of the bases to the right,
and both strands are averaged. The distances compare the mean hidden states over allele and flank.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import switch, whole
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.prefixes import Tail, read_place, read_prefixes, read_tails
from dnamamba.inference.settings import CONTEXT, FLANK
from dnamamba.inference.streaming import (
    BATCH_SIZE,
    CHUNK_LENGTH,
    causal_language_model,
    evaluating,
)
from dnamamba.model import LanguageModel

__all__ = ["CONTEXT", "FLANK", "VariantScore", "check_window", "score_variants"]

Ids = NDArray[np.uint8]


class VariantScore(NamedTuple):
    """What a model says of one variant; formulas stand at the top of this file.

    Attributes:
        variant: the variant.
        llr: log-likelihood ratio of ALT against REF in nats, mean of the strands; below 0 where
            the model finds ALT less likely. NaN where no base could be scored (all N).
        llr_forward: of the plus strand alone.
        llr_reverse: of the minus strand alone; NaN where it was not read.
        l2: Euclidean distance of the mean hidden states, mean of the strands.
        cosine: one minus their cosine, mean of the strands.
    """

    variant: Variant
    llr: float
    llr_forward: float
    llr_reverse: float
    l2: float
    cosine: float


class _Reading(NamedTuple):
    """What the model reads of a site on one strand: token ids; REF, then each ALT; see Place."""

    prefix: Ids
    alleles: list[Ids]
    flank: Ids


def score_variants(
    model: nn.Module,
    tokenizer: Tokenizer,
    genome: Genome,
    variants: Iterable[Variant],
    *,
    context: int = CONTEXT,
    flank: int = FLANK,
    both_strands: bool = True,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
) -> Iterator[VariantScore]:
    """Score variants, streamed: a few batches are in memory at a time.

    Neighbours in ``variants`` with the same place and REF share one prefix and one REF. Scores do
    not depend, beyond rounding, on the batch or the chunks.

    Args:
        model: a ``LanguageModel``; runs where it is, its mode is given back.
        tokenizer: the model's.
        genome: the reference that the variants were checked against.
        variants: see ``read_variants``.
        context: most bases read before an allele, on either strand; fewer at a contig's end.
        flank: bases scored behind an allele, on either strand; fewer at a contig's end.
        both_strands: average over both strands; False reads the plus strand alone.
        batch_size: sites, and then alleles, side by side.
        chunk_length: tokens at a time; bounds the memory together with ``batch_size``.

    Yields:
        One score a variant, in the order given.

    Raises:
        ValueError: an argument out of range, a model that predicts no bases, or a letter that the
            tokenizer refuses.
    """
    language_model = causal_language_model(model, "scoring variants")
    check_window(context, flank, batch_size)
    switch("both_strands", both_strands)
    sites = (list(group) for _, group in groupby(variants, key=lambda v: v[:3]))
    while batch := list(islice(sites, batch_size)):
        both = [_readings(genome, tokenizer, site, context, flank) for site in batch]
        strands = list(zip(*both, strict=True))[: 2 if both_strands else 1]
        with evaluating(model, tokenizer) as device:
            how = tokenizer.scored, batch_size, chunk_length, device
            tails = [_read(language_model, strand, *how) for strand in strands]
        for number, site in enumerate(batch):
            yield from _compare(site, [strand[number] for strand in tails])


def check_window(context: int, flank: int, batch_size: int) -> None:
    """Refuse settings out of range.

    Raises:
        ValueError: names the setting.
    """
    for name, value, least in (
        ("context", context, 0),
        ("flank", flank, 0),
        ("batch_size", batch_size, 1),
    ):
        whole(name, value, least)


def _readings(
    genome: Genome, tokenizer: Tokenizer, site: Sequence[Variant], context: int, flank: int
) -> tuple[_Reading, _Reading]:
    """A site, given by its variants, on the plus and on the minus strand."""
    contig, start, ref = site[0][:3]
    place = read_place(genome, tokenizer, contig, start, start + len(ref), context, flank)
    # A tokenizer that keeps case must not see it change with the allele.
    masked = place.letters[:1].islower()
    letters = [ref, *(variant.alt for variant in site)]
    alleles = [tokenizer.encode(text.lower() if masked else text) for text in letters]
    turned = [tokenizer.reverse_complement(allele) for allele in alleles]
    plus, minus = zip(place.prefixes, (alleles, turned), place.flanks, strict=True)
    return _Reading(*plus), _Reading(*minus)


def _read(
    model: LanguageModel,
    readings: Sequence[_Reading],
    scored_ids: NDArray[np.bool_],
    batch_size: int,
    chunk_length: int,
    device: torch.device,
) -> list[list[Tail]]:
    """For each site, what the model says of REF and of each ALT, each with its flank."""
    scored = torch.tensor(scored_ids, device=device)
    before = read_prefixes(model, [r.prefix for r in readings], chunk_length, device)
    owners = [site for site, reading in enumerate(readings) for _ in reading.alleles]
    tails = [np.concatenate([a, reading.flank]) for reading in readings for a in reading.alleles]
    by_site: list[list[Tail]] = [[] for _ in readings]
    results: dict[int, Tail] = {}
    order = sorted(range(len(tails)), key=lambda i: -len(tails[i]))
    for at in range(0, len(order), batch_size):
        rows = order[at : at + batch_size]
        group = before.take([owners[i] for i in rows])
        read = read_tails(model, group, [tails[i] for i in rows], scored, chunk_length)
        results.update(zip(rows, read, strict=True))
    for number, site in enumerate(owners):
        by_site[site].append(results[number])
    return by_site


def _compare(site: Sequence[Variant], strands: Sequence[list[Tail]]) -> Iterator[VariantScore]:
    """Scores of a site's variants, from the tails of REF and each ALT on each strand."""
    for number, variant in enumerate(site, 1):
        pairs = [(tails[0], tails[number]) for tails in strands]
        llr = [log_likelihood_ratio(ref, alt) for ref, alt in pairs]
        known = [value for value in llr if not math.isnan(value)]
        distances = np.array([_distances(ref.mean, alt.mean) for ref, alt in pairs])
        l2, cosine = distances.mean(axis=0).tolist()
        mean = sum(known) / len(known) if known else math.nan
        yield VariantScore(variant, mean, llr[0], llr[1] if len(llr) > 1 else math.nan, l2, cosine)


def log_likelihood_ratio(ref: Tail, alt: Tail) -> float:
    """The LLR of one strand; NaN where one of them has no scored base."""
    if not (ref.bases and alt.bases):
        return math.nan
    crossed = ref.bases * alt.log_likelihood - alt.bases * ref.log_likelihood
    return 2 * crossed / (ref.bases + alt.bases)


def _distances(ref: NDArray[np.float64], alt: NDArray[np.float64]) -> tuple[float, float]:
    norms = float(np.linalg.norm(ref) * np.linalg.norm(alt))
    cosine = 1 - float(ref @ alt) / norms if norms else 0.0
    return float(np.linalg.norm(ref - alt)), max(cosine, 0.0)
