"""Records of bases alone are read without vcfpy: as vcfpy reads them, and no others are."""

import re
from pathlib import Path

import pytest
from vcf_cases import BAD, CHR1, GOOD, HEADER, row, write

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import checks, vcf
from dnamamba.data.variants.record import read_variants
from dnamamba.data.variants.vcf import read_records

_REST = "\t.\t.\t.\n"
LINES = [
    row(1, "A", "C"),
    row(3, "acgt", "a,TT,n", info="AC=1;é", id="rs1"),
    row(3, "A", "C", id="rs1;rs2"),
    row(3, "A", "C", id="."),
    row(3, "A", "C", id=";"),
    row(3, "A", "C", id="é"),
    row(3, "A", "C", id="a b"),
    row("0003", "A", "C"),
    row("+3", "A", "C"),
    row("9" * 15, "A", "C"),
    row("9" * 16, "A", "C"),
    row(3, "A", "."),
    row(3, "A", "*"),
    row(3, "A", "C,<DEL>"),
    row(3, "A", "C,"),
    row(3, "A", ",C"),
    row(3, "AR", "A"),
    row(3, "A", "C", contig="a b"),
    row(3, "A", "C", contig="é"),
    "#chr1\t3\t.\tA\tC\t.\t.\t.\n",
    "chr#1\t3\t.\tA\tC\t1e3\t.\t.\n",
    *(f"chr1\t3\t.\tA\tC\t{qual}\tPASS\tDP=3\tGT\t0/1\n" for qual in ("7", "7.5", "7.", "x", "-1")),
    "chr1\t3\t.\tA\tC\t.\t\t.\n",
    "chr1\t3\t.\tA\tC\t.\t.\t\n",
    "chr1\t3\t.\tA\tC\t.\t.\n",
    "chr1\t3\t.\tA\tC\t.\tq10;é\t.\r\n",
    "chr1\t3\t.\tA\tC\t.\t.\t\r\n",
    " \t3\t.\tA\tC\t.\t.\t.\n",
]


@pytest.mark.parametrize("line", LINES)
def test_a_record_is_what_vcfpy_reads(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HEADER + line)
    got = list(read_records(path))
    monkeypatch.setattr(vcf, "_PLAIN", re.compile("(?!)"))
    assert got == list(read_records(path))


def test_most_records_are_plain() -> None:
    assert [bool(vcf._PLAIN.match(line)) for line in LINES[:5]] == [True, True, False, True, False]


@pytest.mark.parametrize("records", [r[1] for r in BAD], ids=[r[0] for r in BAD])
def test_what_is_refused_is_refused_alike(
    records: str | bytes, genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HEADER + GOOD + records if isinstance(records, str) else records)

    def outcome() -> object:
        try:
            return list(read_variants(path, genome))
        except ValueError as error:
            return str(error)

    got = outcome()
    monkeypatch.setattr(vcf, "_PLAIN", re.compile("(?!)"))
    assert got == outcome()


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_lies_nearby_is_what_a_genome_fetches(
    size: int, genome: Genome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_NEARBY", size)
    nearby = checks.Nearby(genome)
    for contig in genome.contigs:
        for start, end in [(3, 4), (4, 6), (0, 2), (1, 9), (7, 8), (2, 3), (len(CHR1) - 1, None)]:
            last = min(end or len(CHR1), genome.contigs[contig])
            if start < last:
                assert nearby.fetch(contig, start, last) == genome.fetch(contig, start, last)
