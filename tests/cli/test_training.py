"""Training from the command line: what a run leaves, what is refused, what can be chosen."""

import csv
import warnings
from pathlib import Path

import pytest
import yaml
from cli_cases import config, step

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel


def test_what_a_run_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", config(tmp_path)]) == 0
    run = tmp_path / "run"
    files = sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file())
    assert files == [
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "config.yaml",
        "metrics.csv",
        "model/README.md",
        "model/config.json",
        "model/model.safetensors",
    ]
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["train/loss"]] == ["2", "4", "6"]
    assert [row["step"] for row in rows if row["validation/bits_per_base"]] == ["3", "6"]
    said = capsys.readouterr().err
    assert "step 2 of 6  loss " in said
    assert "GPU available" not in said

    # The saved configuration is whole: other commands need nothing else.
    saved = ["--config", str(run / "config.yaml")]
    assert main(["validate", *saved]) == 0
    assert "validation/bits_per_base" in capsys.readouterr().out
    assert main(["test", *saved, "--ckpt_path", "last"]) == 0
    assert "test/bits_per_base" in capsys.readouterr().out
    assert main(["predict", *saved]) == 0
    table = (run / "predictions.tsv").read_text().splitlines()
    assert table[0] == "window\tbits_per_base"
    assert table[1].startswith("phix174 ")
    assert len(table) == 1 + -(-5386 // 64)
    capsys.readouterr()
    assert main(["predict", *saved]) == 1
    assert "predictions.tsv exists; set --overwrite" in capsys.readouterr().err


def test_a_run_is_not_overwritten_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, trainer={"max_steps": 2})
    assert main(["fit", "-c", path]) == 0
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    assert main(["fit", "-c", path]) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before
    assert main(["fit", "-c", path, "--overwrite", "--trainer.max_steps=1"]) == 0
    assert step(tmp_path / "run") == 1


def test_a_checkpoint_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path)
    assert main(["validate", "-c", path]) == 1
    assert "there is no checkpoint " in capsys.readouterr().err
    assert main(["fit", "-c", path, "--ckpt_path=old.ckpt"]) == 1
    assert "there is no checkpoint old.ckpt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data.genomes=[no.fa]"], "no.fa"),
        (["--data.length=8192"], "8,192"),
        (["--model.model.d_conv=9"], "d_conv must be 2, 3 or 4, got 9"),
        (["--model.optimizer.lr=-1"], "optimizer.lr must be positive, got -1"),
        (["--trainer.accelerator=abacus"], "invalid accelerator"),
        (["--trainer.devices=0"], "trainer"),
        (["--checkpoint_every=0"], "checkpoint_every must be at least 1 step, got 0"),
        (["--data.split.test.contigs=[a]"], "got contigs ['a'] and fraction 0.2; take one"),
        (["--data.split.guard=9999"], "the split and its guard leave no base"),
    ],
)
def test_bad_values_are_one_line(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", config(tmp_path), *flags]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_without_a_progress_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--trainer.max_steps=2", "--trainer.enable_progress_bar=false"]
    assert main(["fit", "-c", config(tmp_path), *flags]) == 0
    assert step(tmp_path / "run") == 2
    assert "perplexity" not in capsys.readouterr().err


def test_predictions_are_refused_before_the_work(
    fitted: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["predict", "-c", fitted]) == 0
    table = tmp_path / "run" / "predictions.tsv"
    assert f"written to {table}" in capsys.readouterr().err
    monkeypatch.setattr("pytorch_lightning.Trainer.predict", None)
    assert main(["predict", "-c", fitted]) == 1
    assert f"{table} exists; set --overwrite" in capsys.readouterr().err


def test_a_warning_of_the_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">empty\n>a\nACGTACGT\n")
    checkpoint.save(
        tmp_path / "model",
        LanguageModel(MambaConfig(d_model=8, n_layers=1)),
        Tokenizer(),
    )
    files = [str(tmp_path / name) for name in ("model", "a.fa", "a.npz")]
    with pytest.warns(UserWarning, match="empty") as caught:
        assert main(["embed", *files]) == 0
    said = "".join(
        warnings.formatwarning(w.message, w.category, w.filename, w.lineno) for w in caught
    )
    assert said.splitlines()[0].startswith("warning: ")
    assert "empty" in said.splitlines()[0]
    assert "UserWarning" not in said


def test_a_device_that_there_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "m", str(tmp_path / "o.fa"), "--device", "gpuu"]) == 1
    assert "device must be auto, cpu, cuda, cuda:N or mps, got" in capsys.readouterr().err


def test_a_class_path_takes_another_module(tmp_path: Path) -> None:
    arguments = {
        "class_path": "PretrainModule",
        "init_args": {"model": {"d_model": 16, "n_layers": 1}, "compile": False},
    }
    base = yaml.safe_load(Path(config(tmp_path)).read_text())
    (tmp_path / "class.yaml").write_text(yaml.safe_dump({**base, "model": arguments}))
    assert main(["fit", "-c", str(tmp_path / "class.yaml"), "--trainer.max_steps=1"]) == 0
    model, _ = dnamamba.load(tmp_path / "run" / "model")
    assert model.config.d_model == 16


def test_the_byte_tokenizer_sets_the_vocabulary(tmp_path: Path) -> None:
    path = config(tmp_path, trainer={"max_steps": 1})
    assert main(["fit", "-c", path, "--data.tokenizer.name=byte"]) == 0
    model, tokenizer = dnamamba.load(tmp_path / "run" / "model")
    assert tokenizer.name == "byte"
    assert model.config.vocab_size == 256
