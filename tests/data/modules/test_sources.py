"""Which files each DataModule says it was read from, and how much is in them."""

from pathlib import Path

import pytest

from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.sequences import LabelledSequenceDataModule
from dnamamba.data.modules.species import SpeciesDataModule
from dnamamba.data.modules.variants import VariantDataModule

SAMPLES = Path("data/samples")
PHIX, HIV = str(SAMPLES / "phix174.fa"), str(SAMPLES / "hiv1.fa")
HELD_OUT = {"validation": {"fraction": 0.2}, "guard": 64, "block": 512}


def test_genomes_with_their_weights_and_the_regions(tmp_path: Path) -> None:
    bed = tmp_path / "out.bed"
    name = Path(PHIX).read_text()[1:].split()[0]
    bed.write_text(f"{name}\t0\t500\n")
    data = GenomeDataModule(
        {PHIX: 2.0, HIV: 1.0}, length=64, windows={"exclude": str(bed)}, split=HELD_OUT
    )
    data.setup()
    assert data.sources() == [
        ("genome, weight 2", Path(PHIX), "5,386 bases in 1 contig"),
        ("genome, weight 1", Path(HIV), "9,181 bases in 1 contig"),
        ("excluded regions", bed, ""),
    ]
    assert [line.partition(":")[0] for line in data.summary()][:2] == ["train", "validation"]
    plain = GenomeDataModule([PHIX], length=64, split=HELD_OUT)
    plain.setup()
    assert [source.part for source in plain.sources()] == ["genome"]


def test_species() -> None:
    data = SpeciesDataModule({"phage": PHIX, "virus": HIV}, length=64, split=HELD_OUT)
    data.setup()
    assert [(part, path) for part, path, _ in data.sources()] == [
        ("species phage", Path(PHIX)),
        ("species virus", Path(HIV)),
    ]


def test_labelled_files_of_each_part_and_class(tmp_path: Path) -> None:
    for name, letter in (("a", "A"), ("b", "C")):
        records = "".join(f">{name}{i}\n{letter * (5 + i)}GT\n" for i in range(6))
        (tmp_path / f"{name}.fa").write_text(records)
    (tmp_path / "test.csv").write_text("sequence,label\nAAGT,a\nCCGT,b\n")
    data = LabelledSequenceDataModule(
        {
            "train": {name: str(tmp_path / f"{name}.fa") for name in "ab"},
            "test": str(tmp_path / "test.csv"),
        },
        split=None,
    )
    data.setup("fit")
    assert data.sources() == [
        ("train, a", tmp_path / "a.fa", ""),
        ("train, b", tmp_path / "b.fa", ""),
        ("test", tmp_path / "test.csv", ""),
    ]
    assert data.summary() == [
        "train: 12 sequences of 7 to 12 bases; a 6, b 6",
        "test: 2 sequences of 4 to 4 bases; a 1, b 1",
    ]


def test_regions_with_their_genome_and_track(tmp_path: Path) -> None:
    bed, track = tmp_path / "r.bed", tmp_path / "t.bw"
    data = LabelledSequenceDataModule(
        {"train": str(bed)}, labels={"kind": "number"}, signal={"genome": PHIX, "track": str(track)}
    )
    assert data.sources() == [
        ("genome", Path(PHIX), "5,386 bases in 1 contig"),
        ("track", track, ""),
        ("train", bed, ""),
    ]


def test_variants() -> None:
    pytest.importorskip("vcfpy")
    vcf = SAMPLES / "labelled" / "chloroplast_stops.vcf"
    data = VariantDataModule(
        {"genome": str(SAMPLES / "arabidopsis_chloroplast.fa"), "train": str(vcf)},
        fields={"info": "EFFECT"},
        length=64,
    )
    assert [(part, path) for part, path, _ in data.sources()] == [
        ("reference", SAMPLES / "arabidopsis_chloroplast.fa"),
        ("train", vcf),
    ]
