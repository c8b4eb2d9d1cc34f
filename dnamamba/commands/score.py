"""``dnamamba score``: a VCF to a VCF with scores, or to a table of them."""

import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dnamamba.commands.dry_run import written_to
from dnamamba.commands.output import check_output
from dnamamba.commands.processes import join_world
from dnamamba.commands.progress import progress
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.text import text_lines
from dnamamba.data.variants import Variant, VariantChecks
from dnamamba.device import best_device
from dnamamba.files import replacing
from dnamamba.inference.settings import CHUNK_LENGTH, CONTEXT, FLANK, SITES
from dnamamba.version import installed_version

if TYPE_CHECKING:
    from dnamamba.inference.variant_scores import VariantScore

__all__ = ["score_vcf"]

ENDINGS = (".vcf", ".vcf.gz", ".tsv")
_SHOWN = 64  # scores from one move of the progress bar to the next
_PLACE = ("contig", "pos", "id", "ref", "alt")
# INFO key -> (field of VariantScore, what it is)
_FIELDS = {
    "DNAMAMBA_LLR": ("llr", "Log-likelihood ratio of ALT against REF in nats"),
    "DNAMAMBA_L2": ("l2", "Euclidean distance of the mean hidden states of ALT and REF"),
    "DNAMAMBA_COSINE": ("cosine", "Cosine distance of the mean hidden states of ALT and REF"),
}
_BYTES: Literal["surrogateescape"] = (
    "surrogateescape"  # lines are copied byte by byte, whatever their encoding
)
_OURS = re.compile(rf"##(INFO=<ID=({'|'.join(_FIELDS)}),|dnamamba_score=)")


def score_vcf(
    model: str,
    fasta: str,
    output: str,
    *,
    vcf: str,
    context: int = CONTEXT,
    flank: int = FLANK,
    both_strands: bool = True,
    checks: VariantChecks = VariantChecks(),  # noqa: B008 (frozen)
    batch_size: int = SITES,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Score the variants of a VCF by a model that was not trained for it.

    By a causal model, the log-likelihood ratio compares ALT with REF, each with the same flank
    bases behind it; an indel gains or loses nothing by its length. Each strand is read with its own
    prefix, and the strands are averaged. A model that reads both ways guesses the site, masked,
    from context bases on either side: log p(ALT) - log p(REF), summed over the bases that a
    substitution exchanges, which are masked together, and averaged over the strands; it scores no
    indels and no N, which are left out and counted, and gives no distances: embed --vcf does.

    An output in VCF holds all records as they were, in their order, with INFO fields more:
    DNAMAMBA_LLR (nats; below 0: ALT is less likely) and, by a causal model, DNAMAMBA_L2 and
    DNAMAMBA_COSINE (distances of the embeddings from the variant on), one value an allele, a dot
    for alleles left out. A .tsv holds a line an allele, contigs and positions as in the VCF.

    The whole VCF is checked before any of it is scored. Where every allele is left out, a warning
    says so and the output holds no score.

    Under torchrun the work is shared among the processes, one a GPU; they need the same files. It
    changes no score.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, or the name of a
            packaged model or of one on the Hugging Face hub.
        fasta: the reference of the VCF: plain, gzip or bgzip.
        output: a .vcf, .vcf.gz (bgzip) or .tsv file.
        vcf: the variants to score: plain, bgzip or gzip.
        context: bases read before an allele, on either strand; of a model that reads both ways, on
            either side.
        flank: bases scored behind an allele, on either strand; of a causal model alone.
        both_strands: average over both strands; false reads the plus strand alone, in half the
            time.
        checks: what to do with records that cannot be used.
        batch_size: most sites side by side.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: bases at a time, in all windows side by side, on a CPU on each thread;
            bounds the memory. null: as many as keep the device busy and fit.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.

    Raises:
        ValueError: bad input; names file, line or argument, and a remedy.
        ModuleNotFoundError: vcfpy is not installed; names the extra.
    """
    from dnamamba.checkpoint import load
    from dnamamba.commands.agreement import check_same
    from dnamamba.inference.effects import Surroundings
    from dnamamba.inference.models import backbone_of
    from dnamamba.inference.variant_scores import reported, scorable_variants, score_variants

    with join_world() as world:
        path = check_output(output, ENDINGS, overwrite)
        language_model, tokenizer = load(model, best_device(device))
        genome = Genome(fasta)
        genome.check(tokenizer)
        figures, settings = reported(language_model, tokenizer)
        # Before the VCF is read, which may take minutes.
        Surroundings(context, flank, both_strands).check(backbone_of(language_model).causal)

        def variants() -> Iterator[Variant]:
            return scorable_variants(language_model, tokenizer, vcf, genome, checks)

        total = _count(variants())
        check_same(world, language_model, tokenizer, [genome], vcf)
        scores = score_variants(
            language_model,
            tokenizer,
            genome,
            variants(),
            context=context,
            flank=flank,
            both_strands=both_strands,
            batch_size=batch_size,
            chunk_length=chunk_length,
            max_bases=max_bases,
            share=world,
        )
        if world.rank:
            for _ in scores:  # those of others, too: all take them together
                pass
            return
        header = (
            f"##dnamamba_score=<version={installed_version()},model={Path(model).name},"
            f"genome={Path(fasta).name},context={context},"
            f"{f'flank={flank},' if 'flank' in settings else ''}"
            f"strands={2 if both_strands else 1}>\n"
        )
        home, shown = written_to(path.parent), progress("score", total, "variants")
        with home as folder, shown as advance, _text(folder / path.name) as write:
            counted = _counted(scores, advance)
            table = path.suffix == ".tsv"
            how = figures, counted
            lines = _table(*how) if table else _annotated(Path(vcf), *how, header)
            for line in lines:
                write(line)


def _count(variants: Iterable[Variant]) -> int:
    """Alleles to score: fails on a bad record now, not after hours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the second reading says it
        return sum(1 for _ in variants)


def _counted(
    scores: "Iterable[VariantScore]", advance: Callable[[int], None]
) -> "Iterator[VariantScore]":
    """The scores; the bar moves every few of them, which costs as much as one."""
    number = 0
    for number, score in enumerate(scores, 1):
        yield score
        if number % _SHOWN == 0:
            advance(_SHOWN)
    advance(number % _SHOWN)


@contextmanager
def _text(path: Path) -> Iterator[Callable[[str], object]]:
    """A function that appends text to a file that appears when the block ends well."""
    from Bio.bgzf import BgzfWriter

    with replacing(path) as file:
        if path.suffix != ".gz":
            yield lambda text: file.write(text.encode("utf-8", _BYTES))
            return
        # The writer closes what it writes to; ``file`` is to be synced after it.
        with BgzfWriter(fileobj=os.fdopen(os.dup(file.fileno()), "wb")) as packed:
            yield lambda text: packed.write(text.encode("utf-8", _BYTES))


def _table(figures: Sequence[str], scores: "Iterable[VariantScore]") -> Iterator[str]:
    yield "\t".join([*_PLACE, *figures]) + "\n"
    for score in scores:
        v = score.variant
        place = (v.vcf_contig, str(v.start + 1), v.id or ".", v.ref, v.alt)
        yield "\t".join([*place, *(f"{getattr(score, name):.6g}" for name in figures)]) + "\n"


def _annotated(
    vcf: Path, figures: Sequence[str], scores: "Iterator[VariantScore]", header: str
) -> Iterator[str]:
    """The lines of a VCF with the scores in INFO; scores of an earlier run are replaced."""
    score = next(scores, None)
    keys = [key for key, (field, _) in _FIELDS.items() if field in figures]
    in_header = True
    for number, line in enumerate(text_lines(vcf, undecodable=_BYTES), 1):
        if line.startswith("#"):
            if in_header and line.startswith("#CHROM"):
                yield from (_definition(key) for key in keys)
                yield header
                in_header = False
            if not _OURS.match(line):
                yield _ended(line)
        elif line.strip():
            alleles: dict[int, VariantScore] = {}
            while score is not None and score.variant.line == number:
                alleles[score.variant.allele] = score
                score = next(scores, None)
            yield _record(_ended(line), keys, alleles)


def _ended(line: str) -> str:
    """The line with a line end; a file's last line may lack it."""
    return line if line.endswith("\n") else line + "\n"


def _definition(key: str) -> str:
    description = f"{_FIELDS[key][1]}, by dnamamba score"
    return f'##INFO=<ID={key},Number=A,Type=Float,Description="{description}">\n'


def _record(line: str, keys: Sequence[str], scores: "dict[int, VariantScore]") -> str:
    columns = line.rstrip("\r\n").split("\t")
    if len(columns) <= 7:  # no record: it was left out, and stays as it is
        return line
    kept = [e for e in columns[7].split(";") if e != "." and e.split("=", 1)[0] not in _FIELDS]
    if scores:
        alleles = range(1, columns[4].count(",") + 2)
        for key in keys:
            field = _FIELDS[key][0]
            values = [_number(getattr(scores.get(n), field, math.nan)) for n in alleles]
            kept.append(f"{key}={','.join(values)}")
    columns[7] = ";".join(kept) or "."
    return "\t".join(columns) + line[len(line.rstrip("\r\n")) :]


def _number(value: float) -> str:
    return "." if math.isnan(value) else f"{value:.6g}"
