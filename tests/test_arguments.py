"""Paths where they come in: what is none is refused by one clear line, by everything public."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dnamamba
from dnamamba import checkpoint
from dnamamba.commands.evaluate import evaluate_fasta
from dnamamba.commands.generate import generate_fasta
from dnamamba.commands.mutagenesis import mutagenesis
from dnamamba.commands.predict import predict_file
from dnamamba.commands.score import score_vcf
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.several import open_genomes
from dnamamba.data.labelled.examples import Fields, read_examples
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.tables import read_rows
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.data.modules.species import SpeciesDataModule
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.data.variants.labels import VariantFields, read_labelled_variants
from dnamamba.data.windows.bed import read_bed
from dnamamba.data.windows.regions import Contigs

VCF = (
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    + "c\t1\t.\tA\tC\t.\t.\tX=1\n"
)
USES: dict[str, Callable[[Any], Any]] = {
    "Genome": Genome,
    "its cache": lambda value: Genome("g.fa", value),
    "read_variants": lambda value: list(read_variants(value, Genome("g.fa"))),
    "read_rows": lambda value: list(read_rows(value, ["sequence"])),
    "read_bed": lambda value: read_bed(value, Contigs.of({"g": {"c": 800}})),
    "read_examples": lambda value: read_examples({"a": value}, Fields(), Labels()),
    "labels of variants": lambda value: VariantFields(table=value),
    "embed_fasta": lambda value: dnamamba.embed_fasta("model", "g.fa", value),
    "predict_file": lambda value: predict_file("model", "g.fa", value),
    "score_vcf": lambda value: score_vcf("model", "g.fa", value, vcf="v.vcf"),
    "generate_fasta": lambda value: generate_fasta("model", value),
    "mutagenesis": lambda value: mutagenesis("model", "g.fa", value, region="c:0-9"),
    "evaluate_fasta": lambda value: evaluate_fasta("model", ["g.fa"], value),
    "save": lambda value: checkpoint.save(value, None, None),  # type: ignore[arg-type]
    "LabelledFiles, a class": lambda value: LabelledFiles({"a": value}),
    "species": lambda value: SpeciesDataModule({"a": value, "b": "g.fa"}),
    "VariantFiles, genome": VariantFiles,
}
LISTS: dict[str, Callable[[Any], Any]] = {
    "LabelledFiles": LabelledFiles,
    "LabelledFiles, test": lambda value: LabelledFiles("t.csv", test=value),
    "LabelledFiles, predict": lambda value: LabelledFiles("t.csv", predict=value),
    "VariantFiles": lambda value: VariantFiles("g.fa", value),
    "VariantFiles, predict": lambda value: VariantFiles("g.fa", predict=value),
    "open_genomes": open_genomes,
    "GenomeDataModule": GenomeDataModule,
    "species, predict": lambda value: SpeciesDataModule({"a": "g.fa", "b": "h.fa"}, predict=value),
    "read_examples": lambda value: read_examples(value, Fields(), Labels()),
    "evaluate_fasta": lambda value: evaluate_fasta("model", value),
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    Path("g.fa").write_text(">c\n" + "ACGTTGCA" * 100 + "\n")
    Path("h.fa").write_text(">c\n" + "ACGTTGCC" * 100 + "\n")
    Path("t.csv").write_text("sequence,label\n" + "ACGT,a\nACCT,b\n" * 6)
    Path("v.vcf").write_text(VCF)


@pytest.mark.parametrize("value", [3, b"g.fa", "", "g\0.fa", ["g.fa"], 1.5], ids=repr)
@pytest.mark.parametrize("name", USES)
def test_what_is_no_path_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r" must be (a path, |how the .*; )got .") as caught:
        USES[name](value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [name for name in USES if name not in ("its cache", "labels of variants", "evaluate_fasta")],
)
def test_none_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match=r" must be a path, got None"):
        USES[name](None)


@pytest.mark.parametrize("value", [3, b"g.fa", [None], ["g.fa", 3], [["g.fa"]], {1, 2}], ids=repr)
@pytest.mark.parametrize("name", LISTS)
def test_what_is_no_list_of_paths_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r" must be a path( or a list of paths)?, got ."):
        LISTS[name](value)


def test_a_path_object_is_a_path() -> None:
    files = LabelledFiles(Path("t.csv"))  # type: ignore[arg-type]
    module = LabelledSequenceDataModule(files, split=None)
    assert module.classes == ["a", "b"]
    assert dict(module.hparams)["files"]["train"] == "t.csv"
    assert open_genomes(Path("g.fa")).keys() == {"g"}
    assert GenomeDataModule({Path("g.fa"): 1.0}).genome_paths == ["g.fa"]  # type: ignore[dict-item]


@pytest.mark.parametrize("train", [None, [], {}])
def test_nothing_to_train_on_is_said(train: Any) -> None:
    with pytest.raises(ValueError, match=r"nothing to train on; set data\.files\.train"):
        LabelledSequenceDataModule(LabelledFiles(train)).read()


# how the file is called a second time
OTHER_NAMES: dict[str, Callable[[str], str]] = {
    "the same": lambda name: name,
    "by another spelling": lambda name: f"../{Path.cwd().name}/{name}",
    "absolute": os.path.abspath,
    "by a link": lambda name: _linked(os.symlink, name),
    "by a hard link": lambda name: _linked(os.link, name),
}


def _linked(link: Callable[[str, str], None], name: str) -> str:
    link(name, f"other-{name}")
    return f"other-{name}"


TWICE: dict[str, tuple[str, Callable[[list[str]], Any]]] = {
    "tables": ("t.csv", lambda both: read_examples(both, Fields(), Labels())),
    "FASTA": ("g.fa", lambda both: read_examples(both, Fields(), None)),
    "classes": (
        "g.fa",
        lambda both: read_examples(dict(zip("ab", both, strict=True)), Fields(), Labels()),
    ),
    "genomes": ("g.fa", open_genomes),
    "species": ("g.fa", lambda both: SpeciesDataModule(dict(zip("ab", both, strict=True))).read()),
    "evaluate_fasta": ("g.fa", lambda both: evaluate_fasta("model", both)),
    "VCF": (
        "v.vcf",
        lambda both: read_labelled_variants(
            both, Genome("g.fa"), VariantFields("X"), Labels(), VariantChecks(), 100
        ),
    ),
    "VCF, to be predicted": (
        "v.vcf",
        lambda both: VariantDataModule(VariantFiles("g.fa", predict=both)).read_unlabelled(),
    ),
}


@pytest.mark.parametrize("other", OTHER_NAMES)
@pytest.mark.parametrize("name", TWICE)
def test_a_file_listed_twice_is_refused(name: str, other: str) -> None:
    file, use = TWICE[name]
    with pytest.raises(ValueError, match=rf"{file} is given more than once in [.a-z]+.*; name"):
        use([file, OTHER_NAMES[other](file)])
