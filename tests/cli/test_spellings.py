"""The spellings of a command: old ones and ``-o`` do what the one does, mixtures are refused."""

import shlex
from pathlib import Path

import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.cli.spellings import OLD_SPELLINGS
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig

# The old spelling, the one that it becomes.
OLD = [
    (
        "score v.vcf --genome ref.fa --checkpoint lm -o out.vcf",
        "score lm ref.fa out.vcf --vcf v.vcf",
    ),
    (
        "score --strands=1 --output=out.tsv --flank 8 --genome=ref.fa --checkpoint=lm v.vcf",
        "score lm ref.fa out.tsv --vcf v.vcf --both_strands false --flank 8",
    ),
    (
        "score lm ref.fa out.tsv --vcf v.vcf --strands 2",
        "score lm ref.fa out.tsv --both_strands true --vcf v.vcf",
    ),
    (
        "mutagenesis --region chr1:3-6 --genome ref.fa --checkpoint lm -oout",
        "mutagenesis lm ref.fa out --region chr1:3-6",
    ),
    (
        "mutagenesis --bed r.bed --overwrite --genome ref.fa --checkpoint lm -o out --strands 1",
        "mutagenesis lm ref.fa out --both_strands false --bed r.bed --overwrite",
    ),
    (
        "predict variants v.vcf out.tsv --genome ref.fa",
        "predict variants ref.fa out.tsv --vcf v.vcf",
    ),
    (
        "predict variants v.vcf --genome ref.fa -o out.tsv --both_strands null",
        "predict variants ref.fa out.tsv --vcf v.vcf --both_strands null",
    ),
]
FLAGS = [
    ("embed lm -o out.npz ref.fa --layer -1", "embed lm ref.fa out.npz --layer -1"),
    ("embed -o=out.npz lm ref.fa --bed r.bed", "embed lm ref.fa out.npz --bed r.bed"),
    ("generate lm --output out.fa --length 9", "generate lm out.fa --length 9"),
    ("predict sequences ref.fa -o out.tsv", "predict sequences ref.fa out.tsv"),
    ("score --vcf v.vcf lm ref.fa --output=out.tsv", "score lm ref.fa out.tsv --vcf v.vcf"),
    ("mutagenesis -o out lm ref.fa --bed r.bed", "mutagenesis lm ref.fa out --bed r.bed"),
    ("evaluate lm ref.fa -o out.tsv", "evaluate lm ref.fa --output out.tsv"),
]
WRONG = [
    (
        "score lm ref.fa out.vcf --vcf v.vcf --checkpoint lm",
        "--checkpoint: an old spelling, not",
    ),
    ("score v.vcf out.vcf --genome ref.fa --checkpoint lm", "--checkpoint, --genome: an old spell"),
    ("score v.vcf --vcf v.vcf --genome ref.fa --checkpoint lm -o out.vcf", "be mixed with the new"),
    ("score lm ref.fa out.vcf --vcf v.vcf --strands 1 --both_strands true", "--strands: an old sp"),
    ("score lm ref.fa out.vcf --vcf v.vcf --strands 3", "strands must be 1 or 2, got 3"),
    ("score v.vcf --genome ref.fa -o out.vcf", "model must be given"),
    ("score v.vcf --genome ref.fa --checkpoint lm", "output must be given"),
    ("score --genome ref.fa --checkpoint lm -o out.vcf", "vcf must be given"),
    ("score lm ref.fa -o out.vcf", "vcf must be given"),
    ("score v.vcf --checkpoint lm -o out.vcf --genome", "--genome needs a value"),
    ("mutagenesis lm ref.fa out --bed r.bed --genome ref.fa", "not to be mixed with the new, dnam"),
    (
        "mutagenesis --bed r.bed --genome ref.fa --checkpoint lm -o out --strands 0",
        "be 1 or 2",
    ),
    ("predict variants ref.fa out.tsv --vcf v.vcf --genome ref.fa", "dnamamba predict MODEL FASTA"),
    ("embed lm -o out.npz", "fasta must be given"),
    ("embed lm ref.fa x.npz -o out.npz", "unexpected argument x.npz"),
    ("embed --checkpoint lm ref.fa out.npz", "unknown flag --checkpoint"),
    ("generate lm -o", "--output needs a value"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind, a genome, a BED and a VCF."""
    folder = tmp_path_factory.mktemp("files")
    sizes = MambaConfig(d_model=8, n_layers=1, d_state=2)
    for name, model in {
        "lm": LanguageModel(sizes),
        "sequences": Classifier(sizes, HeadConfig("regression")),
        "variants": VariantClassifier(sizes, VariantHeadConfig("regression", length=8)),
    }.items():
        checkpoint.save(folder / name, model, Tokenizer())
    (folder / "ref.fa").write_text(">chr1\nACGTTGCAACGATTACA\n")
    (folder / "r.bed").write_text("chr1\t3\t6\n")
    (folder / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr1\t3\trs1\tG\tA,C\t.\t.\t.\nchr1\t12\t.\tA\tATT\t.\t.\t.\n"
    )
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder but for links to the files."""
    for path in files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _outputs(folder: Path, line: str) -> dict[str, bytes]:
    """What a command writes, by name; it is taken away."""
    assert main([*line.split(), "--device", "cpu"]) == 0
    written = {path.name: path.read_bytes() for path in folder.glob("out*")}
    for name in written:
        (folder / name).unlink()
    return written


@pytest.mark.parametrize(("old", "new"), OLD, ids=[old for old, _ in OLD])
def test_an_old_spelling_does_the_same_and_says_the_new(
    old: str, new: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = _outputs(folder, new)
    capsys.readouterr()
    assert _outputs(folder, old) == expected
    assert expected
    (note,) = capsys.readouterr().err.splitlines()
    spelled = note.removeprefix("note: this is now spelled dnamamba ")
    assert sorted(shlex.split(spelled)) == sorted([*new.split(), "--device", "cpu"])
    assert _outputs(folder, spelled.removesuffix(" --device cpu")) == expected


def test_every_old_spelling_is_in_the_table() -> None:
    for command, old in OLD_SPELLINGS.items():
        lines = " ".join(line.replace("=", " ") for line, _ in OLD if line.startswith(command))
        assert {*old.flags, *old.values} <= {*lines.split()}


@pytest.mark.parametrize(("typed", "same"), FLAGS, ids=[typed for typed, _ in FLAGS])
def test_the_output_may_be_a_flag(
    typed: str, same: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = _outputs(folder, same)
    capsys.readouterr()
    assert _outputs(folder, typed) == expected
    assert expected
    assert "spelled" not in capsys.readouterr().err


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line for line, _ in WRONG])
def test_a_mixture_is_refused(
    line: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"dnamamba {line.split()[0]}: ")
    assert said in error
    assert not list(folder.glob("out*"))


@pytest.mark.parametrize("command", OLD_SPELLINGS)
def test_the_help_knows_no_old_spelling(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "MODEL", "--help"])
    said = capsys.readouterr().out
    assert said.startswith(f"usage: dnamamba {command} MODEL FASTA OUTPUT")
    for flag in ("--genome", "--checkpoint", "--strands"):
        assert flag not in said.replace("--checkpoint_every", "")
