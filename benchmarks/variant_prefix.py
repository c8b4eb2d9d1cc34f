"""What sharing the prefix saves when variants are scored: tokens, operations, time.

    python benchmarks/variant_prefix.py

Random variants on a random contig (seeded) are scored by an untrained model twice: by
``score_variants``, which reads each prefix once for REF and every ALT, and by whole passes over
prefix, allele and flank for each allele and strand, their likelihoods subtracted. Both must give
the same numbers; the largest difference of their log-likelihood ratios is in the table. Operations
are those of PyTorch's own count, matrix products alone; the scan's go with the tokens.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import machine, print_table, write_results
from torch.utils.flop_counter import FlopCounterMode

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.places import read_place
from dnamamba.inference.reading import Reading
from dnamamba.inference.scoring import score_sources
from dnamamba.inference.sources import Encoded
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model import LanguageModel

BATCH = 16


def make_variants(genome: Genome, sites: int, alts: int) -> list[Variant]:
    """``alts`` substitutions at each of so many places."""
    size = genome.contigs["contig"]
    places = np.random.default_rng(1).choice(np.arange(size // 4, 3 * size // 4), sites, False)
    found = []
    for start in sorted(places.tolist()):
        ref = genome.fetch("contig", start, start + 1).decode()
        found += [Variant("contig", start, ref, b) for b in "ACGT".replace(ref, "")[:alts]]
    return found


def shared(
    model: LanguageModel, genome: Genome, variants: list[Variant], context: int, flank: int
) -> list[float]:
    scores = score_variants(
        model, Tokenizer(), genome, variants, context=context, flank=flank, batch_size=BATCH
    )
    return [score.llr for score in scores]


def whole(
    model: LanguageModel, genome: Genome, variants: list[Variant], context: int, flank: int
) -> list[float]:
    """Every allele read with its own prefix: both sequences whole, and the difference."""
    tokenizer = Tokenizer()
    sequences = []
    for v in variants:
        place = read_place(genome, tokenizer, v.contig, v.start, v.start + 1, context, flank)
        for prefix, after, turn in zip(place.prefixes, place.flanks, (False, True), strict=True):
            for base in (v.ref, v.alt):
                allele = tokenizer.encode(base)
                allele = tokenizer.complement(allele) if turn else allele
                sequences.append(Encoded(np.concatenate([prefix, allele, after])))
    likely = score_sources(model, tokenizer, sequences, Reading(BATCH)).log_likelihood.reshape(
        -1, 2, 2
    )
    return (likely[..., 1] - likely[..., 0]).mean(axis=1).tolist()


def measure(model: LanguageModel, work: Callable[[], list[float]]) -> dict[str, Any]:
    """Tokens and operations of one run, seconds of another that is not watched."""
    tokens = 0

    def count(_: Any, inputs: Iterable[Any]) -> None:
        nonlocal tokens
        tokens += next(iter(inputs)).numel()

    hook = model.backbone.register_forward_pre_hook(count)
    with FlopCounterMode(display=False) as counter:
        work()
    hook.remove()
    began = time.perf_counter()
    ratios = work()
    return {
        "tokens": tokens,
        "gflop": counter.get_total_flops() / 1e9,
        "seconds": time.perf_counter() - began,
        "llr": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sites", type=int, default=16)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--flank", type=int, default=256)
    parser.add_argument("--d-model", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = MambaConfig(d_model=arguments.d_model, n_layers=arguments.layers)
    model = LanguageModel(config).to(arguments.device)
    torch.nn.init.normal_(model.backbone.embedding.weight, std=0.3)  # opinions, to tell bases by
    figures, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 50_000)]
        path = Path(folder) / "genome.fa"
        path.write_bytes(b">contig\n" + letters.tobytes() + b"\n")
        genome = Genome(path, folder)
        for alts in (1, 3):
            variants = make_variants(genome, arguments.sites, alts)
            what = (model, genome, variants, arguments.context, arguments.flank)
            once, twice = (
                measure(model, partial(shared, *what)),
                measure(model, partial(whole, *what)),
            )
            gap = float(np.abs(np.subtract(once.pop("llr"), twice.pop("llr"))).max())
            figures.append({"alts": alts, "shared": once, "whole": twice, "largest_gap": gap})
            saved = [f"{twice[key] / once[key]:.2f}" for key in ("tokens", "gflop", "seconds")]
            for name, figure in (("shared prefix", once), ("whole passes", twice)):
                rows.append([alts, name, *(f"{value:,.1f}" for value in figure.values()), ""])
            rows.append([alts, "whole / shared", *saved, f"{gap:.1e}"])
    print_table(
        f"{arguments.sites} sites, context {arguments.context:,}, flank {arguments.flank}",
        ["ALTs", "", "tokens", "GFLOP", "seconds", "largest gap, nats"],
        rows,
    )
    results = {"machine": machine(), "settings": vars(arguments), "figures": figures}
    write_results("variant_prefix", results)


if __name__ == "__main__":
    main()
