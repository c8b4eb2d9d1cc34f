"""How much likelier a model finds a variant than its reference, without training for it.

A causal model compares likelihoods (``likelihood_ratios``), one that reads both ways guesses the
masked site (``masked_marginals``).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, VariantChecks, read_variants
from dnamamba.inference.arrival import trailing
from dnamamba.inference.batching import grouped
from dnamamba.inference.effects import Surroundings, VariantScore
from dnamamba.inference.likelihood_ratios import likelihood_ratios
from dnamamba.inference.masked_marginals import masked_marginals
from dnamamba.inference.models import evaluating, method_of
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import CHUNK_LENGTH, CONTEXT, FLANK, SITES
from dnamamba.inference.sharing import ALONE, Answer, Share, divided
from dnamamba.inference.side_by_side import batches_ahead
from dnamamba.inference.substitutions import read_substitutions

__all__ = [
    "Reported",
    "VariantScore",
    "reported",
    "scorable_variants",
    "score_variants",
]


_Scores = list[VariantScore]


class Reported(NamedTuple):
    """What there is to say of a model's scores.

    Attributes:
        figures: the fields of ``VariantScore`` that are numbers of this model.
        settings: the settings that they depend on.
    """

    figures: tuple[str, ...]
    settings: tuple[str, ...]


_CAUSAL = Reported(VariantScore._fields[1:], ("context", "flank", "both_strands"))
_MASKED = Reported(("llr", "llr_forward", "llr_reverse"), ("context", "both_strands"))


def score_variants(
    model: nn.Module,
    tokenizer: Tokenizer,
    genome: Genome,
    variants: Iterable[Variant],
    *,
    context: int = CONTEXT,
    flank: int = FLANK,
    both_strands: bool = True,
    batch_size: int = SITES,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    share: Share = ALONE,
) -> Iterator[VariantScore]:
    """Score variants, streamed: a few batches are in memory at a time.

    Neighbours in ``variants`` with the same place and REF share what is read of it. Scores do
    not depend, beyond rounding, on the batch or the chunks.

    Args:
        model: a ``LanguageModel``; runs where it is, its mode is given back.
        tokenizer: the model's.
        genome: the reference that the variants were checked against.
        variants: see ``read_variants``; a model that reads both ways scores substitutions alone.
        context: most bases read before an allele, on either strand: of a model that reads both
            ways, on either side; fewer at a contig's end.
        flank: bases scored behind an allele, on either strand; fewer at a contig's end. A model
            that reads both ways scores the site alone.
        both_strands: average over both strands; False reads the plus strand alone.
        batch_size: most sites, and then alleles, side by side.
        chunk_length: most tokens at a time of one sequence, by a causal model.
        max_bases: see ``Reading``.
        share: of this process, where several divide the work; all are given all scores, and must
            take them.

    Yields:
        One score a variant, in the order given.

    Raises:
        ValueError: an argument out of range, a model that predicts no bases, a letter that the
            tokenizer refuses, or of a model that reads both ways an indel.
    """
    language_model, method = method_of(
        model, tokenizer, "scoring variants", causal=likelihood_ratios, masked=masked_marginals
    )
    backbone = language_model.backbone
    around = Surroundings(context, flank, both_strands)
    around.check(backbone.causal)
    strands = 2 if both_strands else 1
    with evaluating(model, tokenizer) as device:
        reading = Reading(batch_size, chunk_length, max_bases, share=share)
        reading, budget = reading.settled(backbone, device), reading.agreed(backbone, device)
    sites = (list(group) for _, group in groupby(variants, key=lambda v: v[:3]))
    window = strands * min(max(context, 1), reading.row)
    batches = grouped(sites, lambda _: window, reading.batch_size, budget)

    # A batch of sites is one process's own, whatever it is made of.
    alone = replace(reading, share=ALONE)

    def read(target: torch.device, sites: Sequence[Sequence[Variant]]) -> Answer[_Scores]:
        scores = method(language_model, tokenizer, genome, around, alone, target, sites)
        return lambda: list(scores)

    def answers() -> Iterator[Answer[_Scores]]:
        while group := list(islice(batches, batches_ahead(device) * share.size)):
            with evaluating(model, tokenizer) as target:
                own = partial(read, target)
                each = divided(own, group, len, target, share, brief=window <= budget)
            yield from each

    each = trailing(answers(), device, share.size)
    yield from chain.from_iterable(answer() for answer in each)


def scorable_variants(
    model: nn.Module,
    tokenizer: Tokenizer,
    vcf: str | Path,
    genome: Genome,
    checks: VariantChecks | None = None,
) -> Iterator[Variant]:
    """The variants of a VCF that a model can score: see ``read_variants``.

    For a model that reads both ways, indels and substitutions of N are left out and counted.

    Raises:
        ValueError: as ``read_variants``; or ``checks.kinds`` asks for what cannot be scored.
    """
    _, read = method_of(
        model, tokenizer, "scoring variants", causal=read_variants, masked=read_substitutions
    )
    return read(vcf, genome, checks)


def reported(model: nn.Module, tokenizer: Tokenizer) -> Reported:
    """What a model's scores consist of.

    Raises:
        ValueError: the model scores no variants.
    """
    return method_of(model, tokenizer, "scoring variants", causal=_CAUSAL, masked=_MASKED)[1]
