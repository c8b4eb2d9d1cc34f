"""Other names of a FASTA's contigs: understood where they mean one sequence, refused elsewhere."""

import pytest

from dnamamba.data.genome.synonyms import Synonyms, spoken

HG38 = {"chr1": 248_956_422, "chr2": 242_193_529, "chrX": 156_040_895, "chrM": 16_569}
GRCH37 = {"1": 249_250_621, "2": 243_199_373, "X": 155_270_560, "MT": 16_569}
HG19 = {"chr1": 249_250_621, "chr2": 243_199_373, "chrX": 155_270_560, "chrM": 16_571}
HS1 = {"chr1": 248_387_328, "chrX": 154_259_566, "chrM": 16_569}
NCBI = {"NC_000001.11": 248_956_422, "NC_000023.11": 156_040_895, "NC_012920.1": 16_569}
YEAST = {"chrI": 230_218, "chrX": 745_751, "chrM": 85_779}
WORM = {"I": 15_072_434, "X": 17_718_942, "MtDNA": 13_794}
FLY = {"2L": 23_513_712, "X": 23_542_271, "mitochondrion_genome": 19_524}
MOUSE = {"1": 195_154_279, "MT": 16_299}
THALE = {"Chr1": 30_427_671, "ChrM": 366_924, "ChrC": 154_478}
COLI = {"NC_000913.3": 4_641_652}
TOY = {"chr1": 40, "MT": 30, "plasmid": 20}
PIG = {"chr1": 274_330_532}  # of no assembly in the table, and longer than human's


@pytest.mark.parametrize(
    ("fasta", "name", "contig"),
    [
        (HG38, "1", "chr1"),
        (HG38, "NC_000001.11", "chr1"),
        (HG38, "CM000663.2", "chr1"),
        (HG38, "X", "chrX"),
        (HG38, "MT", "chrM"),
        (HG38, "M", "chrM"),
        (HG38, "NC_012920.1", "chrM"),
        (HG38, "CHR2", "chr2"),
        (GRCH37, "chr1", "1"),
        (GRCH37, "NC_000001.10", "1"),
        (GRCH37, "NC_012920.1", "MT"),
        (HG19, "NC_001807.4", "chrM"),
        (HG19 | {"chrMT": 16_569}, "MT", "chrMT"),
        (HG19 | {"chrMT": 16_569}, "M", "chrM"),
        (HS1, "NC_060925.1", "chr1"),
        (HS1, "MT", "chrM"),
        (NCBI, "1", "NC_000001.11"),
        (NCBI, "chrX", "NC_000023.11"),
        (NCBI, "CM000663.2", "NC_000001.11"),
        (NCBI, "chrM", "NC_012920.1"),
        (YEAST, "X", "chrX"),
        (YEAST, "Mito", "chrM"),
        (YEAST, "NC_001133.9", "chrI"),
        (WORM, "chrX", "X"),
        (WORM, "chrM", "MtDNA"),
        (FLY, "chr2L", "2L"),
        (FLY, "NT_033779.5", "2L"),
        (FLY, "chrM", "mitochondrion_genome"),
        (MOUSE, "NC_000067.7", "1"),
        (MOUSE, "chrM", "MT"),
        ({"1": 260_522_016}, "NC_051336.1", "1"),
        (THALE, "1", "Chr1"),
        (THALE, "NC_003070.9", "Chr1"),
        (THALE, "Pt", "ChrC"),
        (COLI, "chr", "NC_000913.3"),
        (COLI, "U00096.3", "NC_000913.3"),
        (TOY, "1", "chr1"),
        (TOY, "chrM", "MT"),
        (PIG, "1", "chr1"),
    ],
)
def test_a_name_that_means_one_contig(fasta: dict[str, int], name: str, contig: str) -> None:
    assert Synonyms(fasta).meant(name) == ([contig], "")


@pytest.mark.parametrize(
    ("fasta", "name", "message"),
    [
        (HG38, "NC_000001.10", r"it is GRCh37's NC_000001.10 .*'chr1' is GRCh38's .*of one assemb"),
        (HG38, "NC_000067.7", "it is GRCm39's .*195,154,279.*'chr1' is GRCh38's .*248,956,422"),
        (HG19, "MT", r"'chrM' is GRCh37's NC_001807.4 \(16,571 bases\), another sequence"),
        (HG19, "NC_012920.1", "it is GRCh.*NC_012920.1 .16,569 bases., and 'chrM' is .*16,571"),
        (GRCH37, "chrM", r"'MT' is GRCh37's NC_012920.1 \(16,569 bases\), another sequence"),
        (HS1, "NC_012920.1", "'chrM' is T2T-CHM13v2.0's CP068254.1"),
        (PIG, "NC_000001.11", "it is GRCh38's .*'chr1' has 274,330,532, another sequence"),
        ({"chrM": 9, "MT": 9}, "M", "it may be 'MT' or 'chrM'; write which"),
        ({"NC_000001.11": 9, "NC_000067.7": 9}, "chr1", "it may be 'NC_000001.11' or 'NC_000067"),
        (TOY, "chr7", "known are chr1, MT, plasmid|did you mean 'chr1'"),
        (TOY, "chrl", "did you mean 'chr1'"),
        (TOY, "X", "known are"),
    ],
)
def test_a_name_that_means_none_or_several(fasta: dict[str, int], name: str, message: str) -> None:
    synonyms = Synonyms(fasta)
    assert len(synonyms.meant(name).contigs) != 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(synonyms.refusal(name))


def test_of_a_shorter_contig_it_is_said() -> None:
    contigs, remark = Synonyms(TOY).meant("NC_000001.11")
    assert contigs == ["chr1"]
    line = spoken("toy.fa", "NC_000001.11", "chr1", remark)
    assert line.endswith("; 'chr1' has 40 bases, and NC_000001.11 248,956,422")
    assert "\n" not in line
