"""How much likelier a causal model finds a variant than its reference, without training for it.

On each strand the model reads its start token and at most ``context`` bases before the allele, the
prefix; then the allele a and F flank bases, the same reference bases behind REF as behind ALT. With

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
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.effects import Surroundings, VariantScore
from dnamamba.inference.prefixes import Tail, read_place, read_prefixes, read_tails
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import grouped
from dnamamba.model.language_model import LanguageModel

__all__ = ["likelihood_ratios"]

Ids = NDArray[np.uint8]


class _Reading(NamedTuple):
    """What the model reads of a site on one strand: token ids; REF, then each ALT; see Place."""

    prefix: Ids
    alleles: list[Ids]
    flank: Ids


def likelihood_ratios(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    around: Surroundings,
    reading: Reading,
    device: torch.device,
    sites: Sequence[Sequence[Variant]],
) -> list[VariantScore]:
    """Score the variants of some sites, which are read side by side.

    Args:
        model: causal, in evaluation mode, on ``device``.
        tokenizer: the model's.
        genome: the reference that the variants were checked against.
        around: what is read around them.
        reading: what bounds the memory.
        device: where the model is.
        sites: variants of the same place and REF each: they share one prefix and one REF.
    """
    both = [_readings(genome, tokenizer, site, around.context, around.flank) for site in sites]
    strands = 2 if around.both_strands else 1
    readings = [strand for site in both for strand in site[:strands]]
    tails = _read(model, readings, tokenizer.scored, reading, device)
    scores: list[VariantScore] = []
    for number, site in enumerate(sites):
        scores += _compare(site, tails[strands * number : strands * (number + 1)])
    return scores


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
    reading: Reading,
    device: torch.device,
) -> list[list[Tail]]:
    """Of each site and strand, what the model says of REF and each ALT, each with its flank."""
    scored = torch.tensor(scored_ids, device=device)
    before = read_prefixes(model, [r.prefix for r in readings], reading, device)
    owners = [site for site, r in enumerate(readings) for _ in r.alleles]
    tails = [np.concatenate([allele, r.flank]) for r in readings for allele in r.alleles]
    results: list[list[Tail]] = [[] for _ in readings]
    read: dict[int, Tail] = {}
    order = sorted(range(len(tails)), key=lambda i: -len(tails[i]))
    budget = reading.budget(model.backbone, device)
    for rows in grouped(order, lambda i: len(tails[i]), reading.batch_size, budget):
        group = before.take([owners[i] for i in rows])
        known = read_tails(model, group, [tails[i] for i in rows], scored, reading)
        read.update(zip(rows, known, strict=True))
    for number, owner in enumerate(owners):
        results[owner].append(read[number])
    return results


def _compare(site: Sequence[Variant], strands: Sequence[list[Tail]]) -> Iterator[VariantScore]:
    """Scores of a site's variants, from the tails of REF and each ALT on each strand."""
    for number, variant in enumerate(site, 1):
        pairs = [(tails[0], tails[number]) for tails in strands]
        llr = [_log_likelihood_ratio(ref, alt) for ref, alt in pairs]
        known = [value for value in llr if not math.isnan(value)]
        distances = np.array([_distances(ref.mean, alt.mean) for ref, alt in pairs])
        l2, cosine = distances.mean(axis=0).tolist()
        mean = sum(known) / len(known) if known else math.nan
        yield VariantScore(variant, mean, llr[0], llr[1] if len(llr) > 1 else math.nan, l2, cosine)


def _log_likelihood_ratio(ref: Tail, alt: Tail) -> float:
    """The LLR of one strand; NaN where one of them has no scored base."""
    if not (ref.bases and alt.bases):
        return math.nan
    crossed = ref.bases * alt.log_likelihood - alt.bases * ref.log_likelihood
    return 2 * crossed / (ref.bases + alt.bases)


def _distances(ref: NDArray[np.float64], alt: NDArray[np.float64]) -> tuple[float, float]:
    norms = float(np.linalg.norm(ref) * np.linalg.norm(alt))
    cosine = 1 - float(ref @ alt) / norms if norms else 0.0
    return float(np.linalg.norm(ref - alt)), max(cosine, 0.0)
