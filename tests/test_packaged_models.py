"""Models that come with the package: opened by name, and what is said of a wrong one."""

from pathlib import Path

import numpy as np
import pytest
from Bio.Seq import reverse_complement

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint import packaged
from dnamamba.cli import main
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

# AluY (Repbase consensus), a million copies of whose family lie in the human genome.
ALU = (
    "GGCCGGGCGCGGTGGCTCACGCCTGTAATCCCAGCACTTTGGGAGGCCGAGGCGGGCGGATCACGAGGTCAGGAGATCGAGACCATCCCGG"
    "CTAAAACGGTGAAACCCCGTCTCTACTAAAAATACAAAAAATTAGCCGGGCGTGGTGGCGGGCGCCTGTAGTCCCAGCTACTCGGGAGGCT"
    "GAGGCAGGAGAATGGCGTGAACCCGGGAGGCGGAGCTTGCAGTGAGCCGAGATCGCGCCACTGCACTCCAGCCTGGGCGACAGAGCGAGAC"
    "TCCGTCTCAAAAAAA"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one model; the working folder is another, empty one."""
    home = tmp_path / "pretrained"
    checkpoint.save(home / "toy-1k", build(8), Tokenizer())
    monkeypatch.setattr(packaged, "HOME", home)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return home


def build(d_model: int) -> LanguageModel:
    return LanguageModel(MambaConfig(d_model=d_model, n_layers=1, d_state=2))


@pytest.mark.usefixtures("home")
class TestNames:
    def test_a_model_is_opened_by_its_name(self) -> None:
        assert dnamamba.load("toy-1k").embed(["ACGTN"]).shape == (1, 8)

    def test_the_users_own_folder_comes_first(self) -> None:
        checkpoint.save("toy-1k", build(16), Tokenizer())
        assert checkpoint.load("toy-1k")[0].config.d_model == 16

    @pytest.mark.parametrize("name", ["toy-2k", "../pretrained/toy", "toy-1k/other"])
    def test_a_wrong_name_lists_the_known_ones(self, name: str) -> None:
        with pytest.raises(checkpoint.CheckpointError, match=r"comes with dnamamba: toy-1k$"):
            checkpoint.load(name)

    def test_the_command_line_takes_the_name(self, samples: Path, tmp_path: Path) -> None:
        table = tmp_path / "bits.tsv"
        command = ["evaluate", "toy-1k", str(samples / "phix174.fa"), "--output", str(table)]
        assert main(command) == 0
        assert "phix174" in table.read_text()


def test_each_packaged_model_has_a_card() -> None:
    for name in packaged.packaged_names():
        assert (packaged.HOME / name / "README.md").is_file()
        assert len(dnamamba.load(name).embed(["ACGTN"])) == 1


def test_the_models_leave_the_wheel_small() -> None:
    """Weights are next to incompressible, and the rest of the wheel is 1 MB."""
    assert sum(path.stat().st_size for path in packaged.HOME.rglob("*.safetensors")) < 12_000_000


@pytest.mark.parametrize("name", packaged.packaged_names())
def test_a_vertebrate_model_knows_the_commonest_repeat_of_the_human_genome(name: str) -> None:
    model = dnamamba.load(name)
    strands = [ALU, reverse_complement(ALU), ALU[::-1]]
    scores = model.score(strands)
    bits = -scores.log_likelihood / scores.bases / np.log(2)
    assert bits[0] < 0.3
    assert bits[1] < 0.3
    assert bits[2] > 1.8  # the same bases the wrong way round are news to it
