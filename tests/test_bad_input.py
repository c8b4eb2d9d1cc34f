"""Bad input of every kind, as who types a command meets it: one line that says what and where.

Each kind has more cases in its room: FASTA in ``data/genome/test_fasta_bad.py`` (and
``test_fasta_cache.py``, ``test_fasta_processes.py`` for files that change and processes that
die), BED in ``data/windows/test_bed.py``, checkpoints in ``test_checkpoint.py`` and
``training/test_checkpoint_io.py`` (a full disk, a kill).
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

GENOME = b">chr1\n" + b"ACGTTGCAAC\n" * 100 + b">chr2\n" + b"GATTACA\n" * 100
Spoil = bytes | Callable[[Path], object]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def edit(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = json.loads(path.read_text())
        content["config"].update(changes)
        path.write_text(json.dumps(content))

    return change


# what, the file that is spoilt, how, what is said of it
INPUT: list[tuple[str, str, Spoil, str]] = [
    ("FASTA missing", "g.fa", Path.unlink, "No such file"),
    ("FASTA empty", "g.fa", b"", "is empty"),
    ("gzip truncated", "g.fa", gzip.compress(GENOME)[:-20], "truncated or damaged gzip data"),
    ("NUL bytes", "g.fa", GENOME + b"ACGT\0ACGTA\n", "NUL"),
    ("not UTF-8", "g.fa", GENOME[:50] + b"\xff" + GENOME[51:], "byte 0xff is no nucleotide"),
    ("UTF-16", "g.fa", GENOME.decode().encode("utf-16"), "UTF-16"),
    ("FASTQ", "g.fa", b"@r\nACGT\n+\nIIII\n", "FASTQ? Convert it"),
    ("no header", "g.fa", b"ACGT\n", "expected FASTA, a header line that begins with '>'"),
    ("duplicate names", "g.fa", GENOME + GENOME, "2 records are named 'chr1'"),
    ("empty records", "g.fa", b">a\n>b\n", "all 2 records are empty"),
    ("NUL bytes at the end", "g.fa", GENOME + b"\0" * 100, "its last 100 bytes are NUL"),
    ("CR", "g.fa", GENOME.replace(b"\n", b"\r"), "CR alone"),
    ("protein", "g.fa", b">p\nMKVLAA\n", "p, position 3 (0-based): 'L' is no nucleotide"),
    ("gaps", "g.fa", b">a\nAC-T\n", "'-' is a gap"),
    ("BED missing", "some.bed", Path.unlink, "No such file"),
    ("BED, unknown contig", "some.bed", b"ch1\t0\t9\n", "did you mean 'chr1'?"),
    ("BED, start behind end", "some.bed", b"chr1\t9\t3\n", "start 9 is not below end 3"),
    ("BED, out of range", "some.bed", b"chr1\t0\t2000\n", "'chr1' has 1,000 bases"),
    ("BED, no integers", "some.bed", b"chr1\t0\t1e2\n", "end must be an integer"),
    ("weights missing", "model/model.safetensors", Path.unlink, "has no model.safetensors"),
    ("weights truncated", "model/model.safetensors", truncate, "is truncated, damaged or of"),
    ("wrong architecture", "model/config.json", edit(d_model=16), "the weights do not fit"),
    ("wrong vocabulary", "model/config.json", edit(vocab_size=256), "the tokenizer 'nucleotide'"),
    ("model's unknown key", "model/config.json", edit(d_modl=8), "did you mean d_model?"),
    ("no JSON", "model/config.json", b"{", "config.json is damaged, it is not JSON"),
]
# what, the FASTA: odd, and read for what it is
ODD: list[tuple[str, bytes]] = [
    ("ragged lines", b">chr1\nACGT\nAC\n" + b"ACGT\n" * 50),
    ("last line longer", b">chr1\nACGT\n" + b"ACGTACGT" * 50 + b"\n"),
    ("CRLF in part", b">chr1\nACGT\r\n" + b"ACGT\n" * 50),
    ("blank lines", b">chr1\n\nACGT\n\n\n" + b"ACGT\n" * 50),
    ("byte-order mark", b"\xef\xbb\xbf" + GENOME),
]
CONFIG: list[tuple[str, list[str], int, str]] = [
    ("unknown key", ["--data.lenght=9"], 2, "did you mean --data.length?"),
    ("wrong type", ["--data.length=long"], 2, "data.length: expected int; got long"),
    ("longer than every contig", ["--data.length=4096"], 1, "the longest is 'chr1' with 1,000"),
    ("nothing left", ["--data.windows.exclude=all.bed"], 1, "no window is left"),
    ("no such genome", ["--data.genomes=[h.fa]"], 1, "h.fa: No such file"),
    ("no training checkpoint", ["--ckpt_path=g.fa"], 1, "g.fa is truncated or damaged"),
]


@pytest.fixture(autouse=True)
def good_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A genome, a BED and a model, good until a case spoils one of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    Path("g.fa").write_bytes(GENOME)
    Path("some.bed").write_text("chr1\t0\t100\n")
    Path("all.bed").write_text("chr1\t0\t1000\nchr2\t0\t700\n")
    checkpoint.save("model", LanguageModel(MambaConfig(d_model=8, n_layers=1)), Tokenizer())


def embed() -> int:
    return main(["embed", "model", "g.fa", "out.npz", "--bed", "some.bed", "--device", "cpu"])


def test_good_input_is_embedded() -> None:
    assert embed() == 0
    assert Path("out.npz").is_file()


@pytest.mark.parametrize("fasta", [row[1] for row in ODD], ids=[row[0] for row in ODD])
def test_odd_input_is_embedded(fasta: bytes) -> None:
    Path("g.fa").write_bytes(fasta)
    assert embed() == 0


@pytest.mark.parametrize(
    ("file", "spoil", "said"), [row[1:] for row in INPUT], ids=[row[0] for row in INPUT]
)
def test_input(file: str, spoil: Spoil, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(file)
    path.write_bytes(spoil) if isinstance(spoil, bytes) else spoil(path)
    assert embed() == 1
    error = capsys.readouterr().err
    assert error.startswith("dnamamba embed: ")
    assert len(error.splitlines()) == 1
    assert said in error
    assert str(path) in error or path.name in error
    assert not Path("out.npz").exists()


@pytest.mark.parametrize(
    ("flags", "status", "said"), [row[1:] for row in CONFIG], ids=[row[0] for row in CONFIG]
)
def test_configuration(
    flags: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    basis = [
        "--data.genomes=[g.fa]",
        "--data.length=64",
        "--trainer.accelerator=cpu",
        "--trainer.devices=1",
    ]
    sizes = ["--model.model.d_model=8", "--model.model.n_layers=1", "--trainer.max_steps=1"]
    assert main(["fit", "--run_dir=run", *basis, *sizes, *flags]) == status
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("dnamamba fit: ")
    assert said in error[-1]
    assert not list(Path("run").rglob("*.ckpt"))
