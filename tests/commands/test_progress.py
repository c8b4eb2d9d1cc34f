"""Without a terminal long commands say lines; what is short says none."""

from functools import partial
from pathlib import Path

import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.commands import progress
from dnamamba.data.genome import shown
from dnamamba.data.genome.fasta import Genome
from dnamamba.log_lines import SparseLines
from dnamamba.model.language_model import LanguageModel

VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
COMMANDS = {
    "evaluate": ["evaluate", "model", "ref.fa", "--max_bases=64"],
    "embed": ["embed", "model", "ref.fa", "out.npz", "--window=100", "--batch_size=4"],
    "score": ["score", "model", "ref.fa", "out.tsv", "--vcf=v.vcf", "--context=32"],
    "mutagenesis": ["mutagenesis", "model", "ref.fa", "out", "--region=c:10-20", "--context=32"],
}

DONE = {"score": "100 of 100 variants", "mutagenesis": "20 of 20 bp"}


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, a genome and a VCF of its substitutions, where commands start."""
    checkpoint.save(tmp_path / "model", model, Tokenizer())
    (tmp_path / "ref.fa").write_text(f">c\n{'ACGTTGCAAC' * 100}\n")
    records = [f"c\t{i + 1}\t.\tA\tG\t.\t.\t.\n" for i in range(0, 1000, 10)]
    (tmp_path / "v.vcf").write_text(VCF + "".join(records))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_lines_of_a_command(
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "SparseLines", partial(SparseLines, quiet=0))
    assert main(COMMANDS[command]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if f"{command}: " in line]
    assert 1 <= len(lines) <= 10
    assert f"{command}: 100 %, " in lines[-1]
    assert f" 100 %, {DONE.get(command, '1.0 of 1.0 kbp')}, " in lines[-1]


def test_a_short_command_says_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(COMMANDS["evaluate"]) == 0
    assert "evaluate:" not in capsys.readouterr().err


def test_lines_of_a_large_genome_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "large.fa"
    path.write_text("".join(f">c{i}\n{'ACGT' * 20}\n" for i in range(500)))
    monkeypatch.setattr(shown, "SparseLines", partial(SparseLines, quiet=0))
    monkeypatch.setattr(shown, "_SLOW", path.stat().st_size)
    Genome(path, tmp_path / "cache")
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith("caching large.fa: ") for line in said)
    monkeypatch.setattr(shown, "_SLOW", path.stat().st_size + 1)
    Genome(path, tmp_path / "another")
    assert capsys.readouterr().err == ""
