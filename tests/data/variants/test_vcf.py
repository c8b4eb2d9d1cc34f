"""VCF: one table of everything that can be wrong, and what a good record becomes."""

import gzip
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from vcf_cases import BAD, CHR1, GOOD, HEADER, bgzip, row, write

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants.alleles import allele_windows
from dnamamba.data.variants.checks import VariantChecks
from dnamamba.data.variants.record import Variant, read_variants

GOOD_RECORDS: list[tuple[str, str, list[tuple[str, int, str, str]]]] = [
    ("SNV", row(1, "A", "C"), [("chr1", 0, "A", "C")]),
    ("last base", row(40, "G", "C"), [("chr1", 39, "G", "C")]),
    ("insertion", row(4, "T", "TAA"), [("chr1", 3, "T", "TAA")]),
    ("deletion", row(10, "CGGGG", "C"), [("chr1", 9, "CGGGG", "C")]),
    ("several bases for as many", row(2, "CG", "TT"), [("chr1", 1, "CG", "TT")]),
    ("two alleles", row(1, "A", "C,AG"), [("chr1", 0, "A", "C"), ("chr1", 0, "A", "AG")]),
    ("lower case", row(25, "c", "g"), [("chr1", 24, "C", "G")]),
    ("upper case of a masked base", row(25, "C", "G"), [("chr1", 24, "C", "G")]),
    ("IUPAC code R in the FASTA, A in REF", row(23, "A", "C"), [("chr1", 22, "A", "C")]),
    ("N in the FASTA and in REF", row(28, "N", "A"), [("chr1", 27, "N", "A")]),
    ("unsorted", row(2, "C", "A") + row(1, "A", "C"),
     [("chr1", 1, "C", "A"), ("chr1", 0, "A", "C")]),
    ("blank lines", "\n" + row(1, "A", "C") + "\n\n" + row(2, "C", "A"),
     [("chr1", 0, "A", "C"), ("chr1", 1, "C", "A")]),
    ("no record", "", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("records", "expected"), [r[1:] for r in GOOD_RECORDS], ids=[r[0] for r in GOOD_RECORDS]
)
def test_reads(
    records: str, expected: list[tuple[str, int, str, str]], genome: Genome, tmp_path: Path
) -> None:
    for name, content in [
        ("v.vcf", (HEADER + records).encode()),
        ("crlf.vcf", (HEADER + records).replace("\n", "\r\n").encode()),
        ("v.vcf.gz", bgzip((HEADER + records).encode())),
        ("gzip.vcf.gz", gzip.compress((HEADER + records).encode())),
    ]:
        found = list(read_variants(write(tmp_path, content, name), genome))
        assert [variant[:4] for variant in found] == expected


@pytest.mark.parametrize(("content", "expected"), [r[1:] for r in BAD], ids=[r[0] for r in BAD])
def test_refuses(content: str | bytes, expected: str, genome: Genome, tmp_path: Path) -> None:
    # Line 8 is a good record: what came before the bad one is handed out.
    path = write(tmp_path, HEADER + GOOD + content if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=expected) as caught:
        list(read_variants(path, genome, info="AF"))
    assert str(path) in str(caught.value)


SKIPPED: list[tuple[str, dict[str, str], str, str]] = [
    # name, checks, records, reason in the count
    ("REF mismatch", {"mismatch": "skip"}, row(1, "G", "C"), "whose REF differs from the FASTA"),
    ("position 0", {"mismatch": "skip"}, row(0, "A", "C"), "outside their contig"),
    ("past the end", {"mismatch": "skip"}, row(99, "A", "C"), "outside their contig"),
    ("contig absent", {"unknown_contig": "skip"}, row(1, "A", "C", contig="plasmid"),
     "on contigs that the FASTA lacks"),
    ("IUPAC code in REF", {"mismatch": "skip"}, row(1, "M", "G"), "whose REF is an IUPAC code"),
    ("REF of other letters", {"malformed": "skip"}, row(1, "A-", "G"), "that break the format"),
    ("IUPAC code in ALT", {"malformed": "skip"}, row(1, "A", "R"), "that break the format"),
    ("too few columns", {"malformed": "skip"}, "chr1\t1\t.\tA\tC\n", "that break the format"),
    ("no ALT", {}, row(1, "A", "."), "without ALT"),
    ("spanning deletion", {}, row(1, "A", "*"), r"spanning deletions (*)"),
    ("symbolic", {}, row(1, "A", "<DEL>"), "symbolic"),
    ("gVCF", {}, row(1, "A", "<NON_REF>"), "symbolic"),
    ("unspecified", {}, row(1, "A", "<*>"), "symbolic"),
    ("breakend", {}, row(1, "A", "A[chr2:3["), "breakends"),
    ("single breakend", {}, row(1, "A", "A."), "breakends"),
    ("ALT is REF", {}, row(1, "A", "A"), "with ALT equal to REF"),
    ("long", {}, row(1, "A", "A" + "C" * 20), "longer than 20 bases, half the window"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("checks", "records", "reason"), [r[1:] for r in SKIPPED], ids=[r[0] for r in SKIPPED]
)
def test_leaves_out_and_counts(
    checks: dict[str, str], records: str, reason: str, genome: Genome, tmp_path: Path
) -> None:
    path = write(tmp_path, HEADER + GOOD + records * 3 + GOOD)
    counts: Counter[str] = Counter()
    with pytest.warns(UserWarning, match="left out") as caught:
        found = list(
            read_variants(path, genome, VariantChecks(**checks), longest=20, skipped=counts)
        )
    lines = " (lines 9, 10, 11)" if checks else ""  # of what sound files are full of, none
    said = f"{path}: left out records or alleles: 3 {reason}{lines}"
    assert [str(w.message) for w in caught] == [said]
    assert [variant.line for variant in found] == [8, 12]
    assert counts == {reason: 3}
    strict = VariantChecks(unsupported="error")
    with pytest.raises(ValueError, match=r"v\.vcf, line 9: .*=skip"):
        list(read_variants(path, genome, strict, longest=20))


def test_the_other_alleles_of_a_record_stay(genome: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + row(1, "A", "*,C,<NON_REF>", "AF=.,0.25,0", id="rs1;rs2"))
    with pytest.warns(UserWarning, match=r"left out records or alleles: 1 spanning .* 1 symbolic"):
        found = list(read_variants(path, genome, info="AF"))
    assert found == [Variant("chr1", 0, "A", "C", "rs1;rs2", line=8, allele=2, info="0.25")]
    assert found[0].name == "chr1:1:A:C"


@pytest.mark.parametrize(
    ("field", "info", "expected"),
    [
        ("AF", "DB;AF=0.5,0.125", ["0.5", "0.125"]),
        ("AD", "AD=10,5,6;AF=0,1", ["5", "6"]),
        ("SIG", "SIG=Pathogenic,_low_penetrance", ["Pathogenic,_low_penetrance"] * 2),
        ("DB", "DB", ["1", "1"]),
        ("ONE", "X;ONE=a%3Bb", ["a;b", "a;b"]),
        ("ONE", "ONE=.", ["", ""]),
        ("SIG", "ONE=1", ["", ""]),
        ("NEW", "NEW=not in the header", ["not in the header"] * 2),
        ("SIG", ".", ["", ""]),
    ],
)
def test_info_goes_to_the_allele(
    field: str, info: str, expected: list[str], genome: Genome, tmp_path: Path
) -> None:
    path = write(tmp_path, HEADER + row(1, "A", "C,G", info))
    assert [v.info for v in read_variants(path, genome, info=field)] == expected


def test_contig_names_may_be_numbers() -> None:
    names: Any = {17: "chr17"}  # as YAML reads {17: chr17}
    assert VariantChecks(contig_names=names).contig("17") == "chr17"


@pytest.mark.parametrize(
    ("names", "contigs"),
    [
        ("add_chr", ["1", "chr2", "MT"]),
        ("add_chr", ["1", "2", "M"]),
        ({"NC_1": "chr1", "NC_2": "chr2"}, ["NC_1", "NC_2", "chrM"]),
    ],
)
def test_contig_names_are_resolved_by_choice(
    names: str | dict[str, str], contigs: list[str], genome: Genome, tmp_path: Path
) -> None:
    bases = [("A", "C"), ("T", "C"), ("G", "C")]
    records = [row(1, *pair, contig=c) for pair, c in zip(bases, contigs, strict=True)]
    path = write(tmp_path, HEADER + "".join(records))
    found = read_variants(path, genome, VariantChecks(contig_names=names))
    assert [variant.contig for variant in found] == ["chr1", "chr2", "chrM"]


def test_prefixes_are_dropped_by_choice() -> None:
    checks = VariantChecks(contig_names="drop_chr")
    assert [checks.contig(name) for name in ("chr1", "1", "chrM")] == ["1", "1", "MT"]


def test_genotypes_are_not_read(genome: Genome, tmp_path: Path) -> None:
    text = HEADER.replace("INFO\n", "INFO\tFORMAT\tsample\n") + GOOD.replace("\n", "\tGT\tbroken\n")
    assert len(list(read_variants(write(tmp_path, text), genome))) == 1


def test_kinds_are_chosen(genome: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + row(1, "A", "C,AT") + row(1, "AC", "GG"))
    with pytest.warns(UserWarning, match="1 of kind indel, 1 of kind mnv"):
        found = list(read_variants(path, genome, VariantChecks(kinds=["snv"])))
    assert [variant.kind for variant in found] == ["snv"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mismatch": "drop"}, r"checks\.mismatch must be 'error' or 'skip', got 'drop'"),
        ({"kinds": ["SNP"]}, r"checks\.kinds must be of snv, mnv and indel"),
        ({"kinds": []}, r"checks\.kinds must be"),
        ({"contig_names": "chr"}, r"checks\.contig_names must be 'as_is', 'add_chr'"),
    ],
)
def test_unknown_choices_are_refused(options: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        VariantChecks(**options)  # type: ignore[arg-type]


def test_reading_streams(genome: Genome, tmp_path: Path) -> None:
    """The first variant comes before the bad line behind it is read."""
    path = write(tmp_path, HEADER + GOOD + "nonsense\n")
    assert next(read_variants(path, genome)).start == 0


def test_without_vcfpy_the_extra_is_named(
    genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vcfpy", None)
    with pytest.raises(ModuleNotFoundError, match=r"v\.vcf needs vcfpy: .*'dnamamba\[variants\]'"):
        list(read_variants(write(tmp_path, HEADER), genome))


def test_windows_hold_the_variant_in_the_middle(genome: Genome) -> None:
    for start, ref, alt, length in [
        (20, "G", "T", 8), (20, "G", "T", 9), (20, "G", "GAA", 10), (20, "GTR", "G", 10),
        (0, "A", "C", 8), (2, "G", "T", 8), (39, "G", "A", 8), (38, "CG", "C", 8),
        (20, "G", "T", 2),
    ]:  # fmt: skip
        found = allele_windows(genome, Variant("chr1", start, ref, alt), length)
        left = CHR1[max(0, start - length // 2) : start]
        right = length - length // 2 - max(len(ref), len(alt))
        after = CHR1[start + len(ref) : start + len(ref) + right]
        assert found.position == len(left)
        assert found.ref.decode() == CHR1[start - len(left) : start + len(ref) + len(after)]
        assert found.alt.decode() == left + alt + after


def test_windows_by_hand(genome: Genome) -> None:
    def cut(start: int, ref: str, alt: str, length: int) -> tuple[bytes, bytes, int]:
        return allele_windows(genome, Variant("chr1", start, ref, alt), length)

    # in the middle: 4 bases before, the variant, 3 behind
    assert cut(4, "A", "T", 8) == (b"ACGTACGT", b"ACGTTCGT", 4)
    # an insertion of 2: the same flanks, and the longer window has the length asked for
    assert cut(4, "A", "ATT", 8) == (b"ACGTAC", b"ACGTATTC", 4)
    assert cut(4, "ACG", "A", 8) == (b"ACGTACGT", b"ACGTAT", 4)
    # clipped, not shifted, at either end
    assert cut(1, "C", "T", 8) == (b"ACGTA", b"ATGTA", 1)
    assert cut(39, "G", "A", 8) == (b"GTACG", b"GTACA", 4)
    # masked and ambiguous flanks come as they are
    assert cut(23, "a", "t", 4) == (b"TRac", b"TRtc", 2)


def test_an_allele_too_long_for_its_window_is_named(genome: Genome) -> None:
    with pytest.raises(ValueError, match=r"chr1:5:A:AT+: an allele of 6 bases .* raise length to"):
        allele_windows(genome, Variant("chr1", 4, "A", "ATTTTT"), 8)


def test_warnings_of_vcfpy_stay_away(genome: Genome, tmp_path: Path) -> None:
    text = HEADER.replace("VCFv4.2", "VCFv4.5") + row(1, "A", "C", "UNDECLARED=1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(read_variants(write(tmp_path, text), genome, info="UNDECLARED"))) == 1


def test_contigs_by_other_names_are_said_once(genome: Genome, tmp_path: Path) -> None:
    lines = [row(1, "A", "C", contig="1"), row(1, "A", "G", contig="1"), row(1, "A", "T")]
    path = write(tmp_path, HEADER + "".join(lines))
    said = r"^ref\.fa spells contigs otherwise: '1' is read as 'chr1', others likewise$"
    with pytest.warns(UserWarning, match=said) as warned:
        variants = list(read_variants(path, genome))
    assert len(warned) == 1
    assert [(v.contig, v.vcf_contig) for v in variants] == [("chr1", "1")] * 2 + [("chr1", "chr1")]


def test_an_accession_on_a_contig_of_another_length_is_said(genome: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + row(1, "A", "C", contig="NC_000001.11"))
    with pytest.warns(UserWarning, match=r"'chr1' has 40 bases, and NC_000001\.11 248,956,422"):
        assert [v.name for v in read_variants(path, genome)] == ["chr1:1:A:C"]
