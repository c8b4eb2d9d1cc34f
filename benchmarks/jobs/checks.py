"""Results of the jobs beside the slow way: single calls, and plain forward passes.

All of it runs in fp32, as the commands do on any device; on a GPU matrix products may be TF32 with
10 bits of mantissa, whose sums differ with the batch: hence two tolerances. What is compared is
drawn the same way each time.
"""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dnamamba
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, read_variants
from dnamamba.inference.effects import BASES, Effects
from dnamamba.inference.variant_scores import VariantScore, score_variants
from jobs.fits import small_model
from jobs.inputs import Inputs
from jobs.processes import JobError

__all__ = ["bits", "drawn", "effects", "labels", "scores", "strings", "vectors"]

ROWS = 20
# Of the largest value compared: what may differ.
TOLERANCE = {"cpu": 1e-4, "cuda": 2e-3}
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def strings(inputs: Inputs, embedded: Any) -> str:
    """Vectors of all strings beside single calls."""
    texts = inputs.strings
    chosen = _drawn(len(texts))
    return _agree(inputs, embedded, len(texts), chosen, _singly(inputs, [texts[i] for i in chosen]))


def vectors(regions: str) -> Callable[[Inputs, Path], str]:
    """Vectors of the regions in a BED beside single calls on their letters."""

    def check(inputs: Inputs, output: Path) -> str:
        lines = [line.split("\t") for line in getattr(inputs, regions).read_text().splitlines()]
        chosen = _drawn(len(lines))
        texts = [_letters(inputs, lines[i]) for i in chosen]
        with np.load(output) as file:
            if file["id"].tolist() != [line[3] for line in lines]:
                raise JobError(f"{output}: rows are not those of {regions}")
            embedded = file["embedding"]
        return _agree(inputs, embedded, len(lines), chosen, _singly(inputs, texts))

    return check


def labels(inputs: Inputs, output: Path) -> str:
    """Probabilities in the table beside single calls."""
    rows = _table(output)
    columns = [name for name in rows[0] if name.startswith("probability_")]
    written = np.array([[float(row[name]) for name in columns] for row in rows])
    model = dnamamba.load(small_model(inputs), inputs.device)
    chosen = _drawn(len(inputs.short))
    alone = [model.predict([inputs.short[i]]).probabilities[0] for i in chosen]
    return _agree(inputs, written, len(inputs.short), chosen, np.stack(alone))


def scores(inputs: Inputs, output: Path) -> str:
    """Log-likelihood ratios in the VCF beside those of one variant at a time."""
    lines = [line for line in output.read_text().splitlines() if not line.startswith("#")]
    info = [dict(entry.split("=") for entry in line.split("\t")[7].split(";")) for line in lines]
    written = np.array([[float(i["DNAMAMBA_LLR"]), float(i["DNAMAMBA_L2"])] for i in info])
    genome = Genome(inputs.genome)
    variants = list(read_variants(inputs.variants, genome))
    chosen = _drawn(len(variants))
    how = {"context": inputs.sizes.window}
    alone = [_one(inputs, genome, variants[i], how) for i in chosen]
    expected = np.array([[score.llr, score.l2] for score in alone])
    return _agree(inputs, written, inputs.sizes.variants, chosen, expected)


def effects(inputs: Inputs, result: Effects) -> str:
    """Substitutions of each strand beside single variants that read as much before them."""
    genome, context = Genome(inputs.genome), inputs.sizes.mutagenesis_context
    length = len(result.ref)
    written, expected = [], []
    chosen = _drawn(length, ROWS // 2)
    for i in chosen:
        alt = BASES[(BASES.index(result.ref[i]) + 1) % 4]
        variant = Variant(result.contig, result.start + i, result.ref[i], alt)
        before = _one(inputs, genome, variant, {"context": context + i})
        behind = _one(inputs, genome, variant, {"context": context + length - 1 - i})
        column = BASES.index(alt)
        written.append([result.forward[i, column], result.reverse[i, column]])
        expected.append([before.llr_forward, behind.llr_reverse])
    return _agree(inputs, np.array(written), len(chosen), range(len(chosen)), np.array(expected))


def bits(inputs: Inputs, output: Path) -> str:
    """Bits per base of the last contig beside one forward pass."""
    rows = _table(output)
    name = list(inputs.bases)[-1]
    text = inputs.text(name, 0, len(inputs.bases[name]))
    likely = _log_likelihoods(inputs, text)
    expected = -likely.sum().item() / len(text) / math.log(2)
    if [int(row["scored_bases"]) for row in rows] != [len(b) for b in inputs.bases.values()]:
        raise JobError(f"{output}: not every base is scored once")
    written = np.array([float(row["bits_per_base"]) for row in rows])
    return _agree(inputs, written, len(rows), [len(rows) - 1], np.array([expected]))


def drawn(inputs: Inputs, output: Path) -> str:
    """The bases drawn are as likely, under one forward pass over them, as draws from it are."""
    text = "".join(output.read_text().splitlines()[1:])
    if len(text) != inputs.sizes.drawn or set(text) - set(BASES):
        raise JobError(f"{output}: expected {inputs.sizes.drawn:,} bases, got {len(text):,}")
    logs = _log_probabilities(inputs, text)[:, inputs.pretrained.tokenizer.base_ids]
    logs = logs - logs.logsumexp(1, keepdim=True)  # no other token is drawn
    chosen = torch.tensor([BASES.index(base) for base in text], device=logs.device)
    p = logs.exp()
    mean = (p * logs).sum(1)
    variance = (p * logs**2).sum(1) - mean**2
    surplus = logs.gather(1, chosen[:, None])[:, 0] - mean
    deviations = (surplus.sum() / variance.sum().sqrt()).item()
    if not abs(deviations) < 5:
        raise JobError(f"{output}: the bases drawn are {deviations:.1f} deviations off their odds")
    return f"{len(text):,} bases, {deviations:+.1f} standard deviations off their odds"


def _drawn(n: int, rows: int = ROWS) -> list[int]:
    chosen = np.random.default_rng(20).choice(n, min(n, rows), replace=False)
    return sorted({0, n - 1, *chosen.tolist()})


def _singly(inputs: Inputs, texts: Sequence[str]) -> Any:
    return np.concatenate([inputs.pretrained.embed([text]) for text in texts])


def _letters(inputs: Inputs, line: Sequence[str]) -> str:
    text = inputs.text(line[0], int(line[1]), int(line[2]))
    return text.translate(_COMPLEMENT)[::-1] if line[5] == "-" else text


def _one(inputs: Inputs, genome: Genome, variant: Variant, how: dict[str, int]) -> VariantScore:
    return next(score_variants(*inputs.pretrained, genome, [variant], **how))


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@torch.inference_mode()
def _log_probabilities(inputs: Inputs, text: str) -> torch.Tensor:
    """(L, V) of each base's place, given those before it: one forward pass of the whole."""
    model, tokenizer = inputs.pretrained
    ids = np.concatenate([model.backbone.start_tokens, tokenizer.encode(text)])[:-1]
    logits, _ = model(torch.tensor(ids, dtype=torch.long, device=inputs.device)[None])
    return logits[0].double().log_softmax(1)


def _log_likelihoods(inputs: Inputs, text: str) -> torch.Tensor:
    logs = _log_probabilities(inputs, text)
    bases = inputs.pretrained.tokenizer.encode(text).astype(np.int64)
    return logs.gather(1, torch.from_numpy(bases).to(logs.device)[:, None])[:, 0]


def _agree(inputs: Inputs, results: Any, rows: int, chosen: Sequence[int], expected: Any) -> str:
    """Refuse results, one a row, of which those chosen are not what is expected.

    Raises:
        JobError: too few or too many rows, or another value; says by how much.
    """
    if len(results) != rows:
        raise JobError(f"expected {rows:,} rows, got {len(results):,}")
    if not np.isfinite(results).all():
        raise JobError(f"{(~np.isfinite(results)).sum():,} values are not finite")
    differences = np.abs(np.asarray(results)[list(chosen)] - expected)
    share = float(differences.max() / np.abs(expected).max())
    if not share <= TOLERANCE[inputs.device]:
        raise JobError(f"differs from the slow way by {share:.1e} of its largest value")
    return f"{len(chosen)} of {rows:,}, within {share:.1e} of the largest value"
