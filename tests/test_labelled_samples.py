"""The labelled samples are what data/README.md says of them."""

import csv
from pathlib import Path

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import read_variants

CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"  # NCBI table 11, TCAG
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def amino_acid(codon: str) -> str:
    first, second, third = ("TCAG".index(base) for base in codon)
    return CODE[16 * first + 4 * second + third]


def test_coding_windows_are_those_of_the_genome(samples: Path) -> None:
    genome = Genome(samples / "arabidopsis_chloroplast.fa")
    with (samples / "labelled" / "coding.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 528
    ends = 0
    for row in rows:
        contig, _, place = row["id"].partition(":")
        start, end = map(int, place.split("-"))
        assert genome.fetch(contig, start, end).decode() == row["sequence"]
        assert start >= ends
        assert not 128_214 <= start < 154_478
        assert row["group"] == f"{contig}:{start // 2000}"
        ends = end
    labels = [row["label"] for row in rows]
    assert (labels.count("coding"), labels.count("intergenic")) == (364, 164)


def test_variants_have_the_effect_of_their_label(samples: Path) -> None:
    """In some frame and strand the change is what EFFECT says it is."""
    genome = Genome(samples / "arabidopsis_chloroplast.fa")
    vcf = samples / "labelled" / "chloroplast_stops.vcf"
    variants = list(read_variants(vcf, genome, info="EFFECT"))
    effects = [variant.info for variant in variants]
    assert (effects.count("stop"), effects.count("synonymous")) == (300, 300)
    assert "synthetic" in vcf.read_text().splitlines()[1]
    for variant in variants:
        around = genome.fetch(variant.contig, variant.start - 2, variant.start + 3).decode()
        changed = around[:2] + variant.alt + around[3:]
        seen = set()
        for bases, other in ((around, changed), *[(_opposite(around), _opposite(changed))]):
            for frame in range(3):
                before, after = (amino_acid(x[frame : frame + 3]) for x in (bases, other))
                seen.add("stop" if after == "*" != before else "synonymous" * (after == before))
        assert variant.info in seen, variant


def _opposite(bases: str) -> str:
    return bases[::-1].translate(COMPLEMENT)
