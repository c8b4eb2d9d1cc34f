from pathlib import Path

import pytest
from Bio import SeqIO

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands.generate import generate_fasta
from dnamamba.inference.generation import generate
from dnamamba.model.language_model import LanguageModel


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> str:
    return str(checkpoint.save(tmp_path / "model", model, tokenizer))


def test_fasta_holds_what_generate_draws(
    folder: str, model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    output = tmp_path / "new.fa"
    generate_fasta(folder, str(output), prompt="GATTACA", length=130, n=2, seed=3, top_k=3)
    with output.open() as lines:
        records = list(SeqIO.parse(lines, "fasta"))
    expected = generate(model, tokenizer, "GATTACA", length=130, n=2, seed=3, top_k=3)
    assert [str(record.seq) for record in records] == expected
    assert [record.id for record in records] == ["generated_0", "generated_1"]
    assert "seed=3 temperature=1.0 top_k=3 top_p=None prompt=GATTACA" in records[0].description
    lines = output.read_text().splitlines()
    assert [len(line) for line in lines[1:4]] == [60, 60, 10]


def test_an_output_that_stands_is_kept_unless_asked(folder: str, tmp_path: Path) -> None:
    output = tmp_path / "new.fa"
    output.write_text("precious")
    with pytest.raises(ValueError, match=r"new.fa exists; .*--overwrite"):
        generate_fasta(folder, str(output))
    assert output.read_text() == "precious"
    generate_fasta(folder, str(output), length=10, overwrite=True)
    assert output.read_text().startswith(">generated_0")


def test_bad_arguments_leave_nothing(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="top_k must be 1 to 4"):
        generate_fasta(folder, str(tmp_path / "new.fa"), top_k=9)
    with pytest.raises(ValueError, match=r"must end in .fa or .fasta or .fna"):
        generate_fasta(folder, str(tmp_path / "new.txt"))
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
