"""Small tasks of a benchmark, for the tests that measure them."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dnamamba.benchmark.columns import COLUMNS, measured
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.recipe import RATE
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.tasks.task import Task

__all__ = [
    "FOUR",
    "SEQUENCES",
    "SIZES",
    "VARIANTS",
    "read_part",
    "task_of",
    "tuned",
    "variant_task",
    "write_part",
    "write_variants",
]

SEQUENCES = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"
VARIANTS = "dnamamba.data.modules.variants.VariantDataModule"
FOUR = {
    RATE: [2e-3, 4e-3],
    "data.init_args.reverse_complement, model.init_args.head.both_strands": [True, False],
}
"""Choices of a recipe, which are four options."""

SIZES = {"train": 48, "validation": 24, "test": 24}


def write_part(path: Path, n: int, seed: int, swapped: bool = False) -> None:
    """Sequences of 24 bases, label 1 where a TATAAA stands; ``swapped``: where none does."""
    random = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sequence", "label"])
        for number in range(n):
            bases = "".join(random.choice(list("CGCGCGAT"), 24))
            if number % 2:
                bases = f"{bases[:9]}TATAAA{bases[15:]}"
            rows.writerow([bases, number % 2 ^ swapped])


def task_of(arguments: dict[str, Any], metric: str = "mcc", **more: Any) -> Task:
    return Task("own", "small", "Small", {"class_path": SEQUENCES, "init_args": arguments}, metric,
                **more)  # fmt: skip


def tuned(job: Job, work: Work) -> Row:
    """The row of a first seed, behind the trials that it needs."""
    options = len(work.recipe.options()) if COLUMNS[job.column].chooses else 1
    trials = range(options) if options > 1 else ()
    rows = tuple(measured(replace(job, choice=i), work) for i in trials)
    return measured(replace(job, rows=rows), work)


def read_part(path: Path) -> tuple[list[str], list[int]]:
    """The sequences and labels of ``write_part``."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["sequence"] for row in rows], [int(row["label"]) for row in rows]


def write_variants(folder: Path) -> None:
    """A genome and 99 variants of it: to G or C is bad, to A or T is not; one in five inserts."""
    random = np.random.default_rng(0)
    genome = "".join(random.choice(list("ACGT"), 3000))
    (folder / "genome.fa").write_text(f">chr1\n{genome}\n")
    lines = [
        "##fileformat=VCFv4.3",
        "##contig=<ID=chr1,length=3000>",
        '##INFO=<ID=BAD,Number=1,Type=String,Description="">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for i, at in enumerate(range(20, 2990, 30)):
        ref = genome[at]
        new = next(base for base in ("GC" if i % 2 else "AT") if base != ref)
        alt = ref + 3 * new if i % 5 == 0 else new
        bad = "yes" if i % 2 else "no"
        lines.append(f"chr1\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\tBAD={bad}")
    (folder / "variants.vcf").write_text("\n".join(lines) + "\n")


def variant_task() -> Task:
    """Of what ``write_variants`` writes."""
    share = {"fraction": 0.25}
    arguments = {
        "files": {"genome": "genome.fa", "train": "variants.vcf"},
        "fields": {"info": "BAD"},
        "labels": {"classes": ["no", "yes"]},
        "split": {"validation": share, "test": share, "guard": 0, "block": 300},
        "length": 16,
    }
    return Task("own", "variants", "V", {"class_path": VARIANTS, "init_args": arguments}, "auroc")
