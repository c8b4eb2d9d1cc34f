"""Every single-base substitution of a region, scored as a variant.

A causal model compares likelihoods (``substitution_ratios``), one that reads both ways guesses
each position, masked (``masked_marginals``).
"""

from collections.abc import Callable

import numpy as np
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.effects import BASES, Effects, Surroundings
from dnamamba.inference.masked_marginals import substitution_marginals
from dnamamba.inference.models import evaluating, method_of
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import CHUNK_LENGTH, CONTEXT, FLANK, SITES
from dnamamba.inference.sharing import ALONE, Share
from dnamamba.inference.sites import Region
from dnamamba.inference.substitution_ratios import substitution_ratios

__all__ = ["BASES", "Effects", "mutate"]


def mutate(
    model: nn.Module,
    tokenizer: Tokenizer,
    genome: Genome,
    contig: str,
    start: int,
    end: int,
    *,
    context: int = CONTEXT,
    flank: int = FLANK,
    both_strands: bool = True,
    batch_size: int = SITES,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    advance: Callable[[int], None] | None = None,
    share: Share = ALONE,
) -> Effects:
    """Score all substitutions of bases [start, end) of a contig, 0-based.

    Args:
        model: a ``LanguageModel``; runs where it is, its mode is given back.
        tokenizer: the model's.
        genome: the reference.
        contig: its name there.
        start: first base.
        end: one past the last.
        context: most bases read before the region, on either strand; behind its first base the
            prefix grows with the region. A model that reads both ways reads so many on either side
            of each position.
        flank: bases scored behind each substitution, on either strand; fewer at a contig's end. A
            model that reads both ways scores the position alone.
        both_strands: average over both strands; False reads the plus strand alone.
        batch_size: most substitutions side by side, or windows with a masked position.
        chunk_length: most tokens at a time of one sequence, by a causal model.
        max_bases: see ``Reading``.
        advance: told of the bases done, each once a strand.
        share: of this process, where several divide the work; all are given the whole result.

    Raises:
        ValueError: no such region, an argument out of range, a model that predicts no bases, or a
            letter that the tokenizer refuses.
    """
    language_model, method = method_of(
        model, tokenizer, "mutagenesis", causal=substitution_ratios, masked=substitution_marginals
    )
    around = Surroundings(context, flank, both_strands)
    around.check(language_model.backbone.causal)
    reading = Reading(batch_size, chunk_length, max_bases, share=share)
    bases = genome.fetch(contig, start, end)
    region = Region(contig, start, end)
    advance = advance or (lambda _: None)
    with evaluating(model, tokenizer) as device:
        how = around, reading, device, advance
        forward, *others = method(language_model, tokenizer, genome, region, *how)
    reverse = others[0] if others else np.full_like(forward, np.nan)
    llr = np.where(np.isnan(forward), reverse, (forward + reverse) / 2)
    llr = np.where(np.isnan(reverse), forward, llr)
    return Effects(contig, start, bases.decode().upper(), llr, forward, reverse)
