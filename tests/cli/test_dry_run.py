"""``--dry-run``: all that the command says of its input, an estimate, and no file anywhere."""

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from cli_cases import config, step

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.cli.dry import validations
from dnamamba.commands import dry_run
from dnamamba.model.language_model import LanguageModel
from dnamamba.training.callbacks import trial

DRY = "a dry run: nothing was written"
LOGGERS = {
    "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "logs"}},
    "callbacks": [
        {"class_path": "ModelCheckpoint", "init_args": {"dirpath": "kept"}},
        {"class_path": "LearningRateMonitor"},
    ],
}


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Caches and temporary folders are watched, too; and no second is waited for."""
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "default-cache"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for module in (trial, dry_run):
        monkeypatch.setattr(module, "_SECONDS", 0.0)
    yield
    assert list((tmp_path / "tmp").iterdir()) == []


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder."""
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def tried(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a dry run says, which leaves the folder as it is."""
    before = tree(folder)
    capsys.readouterr()
    assert main([*arguments, "--dry-run"]) == 0
    assert tree(folder) == before
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == DRY
    return said


def test_a_training_that_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, trainer={**LOGGERS, "max_steps": 10**9, "min_steps": 10**9})
    said = tried(tmp_path, capsys, "fit", "-c", path)
    assert said.startswith("memory: about ")
    assert "\ntrain: 46 samples of 64 bases at most\n" in said
    assert "\nvalidation: 16 samples of 64 bases at most\n" in said
    assert "\ntest: 21 samples of 64 bases at most\n" in said
    assert "\nsteps: 1,000,000,000; 11 are an epoch\n" in said
    assert re.search(
        r"^time: about \d+ d \d+ h, without saving \(a step takes [\d.e-]+ s, the median of 3 "
        r"tried here; 333,333,333 validations of 4 batches, [\d.e-]+ s each\)$", said, re.MULTILINE,
    )  # fmt: skip


def test_a_training_that_goes_on(
    fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume = ["fit", "-c", fitted, "--ckpt_path=last"]
    said = tried(
        tmp_path, capsys, *resume, "--trainer.max_steps=60", "--trainer.max_time=00:01:00:00"
    )
    assert "\nsteps: 60, of which 6 are done; 11 are an epoch\n" in said
    assert "; 18 validations of 4 batches, " in said
    assert step(tmp_path / "run") == 6
    assert "\ntime: none, for no step is left\n" in tried(tmp_path, capsys, *resume)
    assert main([*resume, "--trainer.max_steps=7"]) == 0  # what the dry run has left is whole
    assert "dry_run" not in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("command", "said"),
    [("validate", "validation: 16"), ("test", "test: 21"), ("predict", "predict: 85")],
)
def test_what_a_checkpoint_is_used_for(
    command: str, said: str, fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tried(tmp_path, capsys, command, "-c", fitted)
    assert out.startswith(f"{said} samples of 64 bases at most\ntime: about ")
    assert "bits_per_base" not in out  # of some batches alone


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "holds a run already"),
        (["--ckpt_path=old.ckpt"], "there is no checkpoint old.ckpt"),
        (["--run_dir=other", "--data.genomes=[no.fa]"], "no.fa"),
        (["--run_dir=other", "--data.length=8192"], "8,192"),
        (["--ckpt_path=last", "--model.model.d_model=16"], "d_model"),
        (["--ckpt_path=last", "--data.seed=7"], "cannot resume"),
    ],
)
def test_errors_are_those_of_the_run(
    flags: list[str], said: str, fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(tmp_path)
    errors = []
    for dry in (["--dry-run"], []):
        capsys.readouterr()
        assert main(["fit", "-c", fitted, *flags, *dry]) == 1
        errors.append(capsys.readouterr().err.splitlines()[-1])
        if dry:
            assert tree(tmp_path) == before
    assert errors[0] == errors[1]
    assert said in errors[0]


def test_a_folder_that_another_run_writes_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text("process 7 on node1")

    def busy(*_: Any) -> None:
        raise BlockingIOError

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.lockf", busy)
        assert main(["fit", "-c", config(tmp_path), "--dry-run"]) == 1
    assert "is being written by another run (process 7 on node1)" in capsys.readouterr().err
    tried(tmp_path, capsys, "fit", "-c", config(tmp_path))  # left by a run that was killed


@pytest.mark.filterwarnings("ignore:the splits are not independent")
def test_a_fine_tuned_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{'ACGT'[i % 4] * 40}{'ACGTTGCA' * 3},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["sequence,label", *rows]))
    content = yaml.safe_load(Path(config(tmp_path)).read_text())
    model = {"model": {"d_model": 8, "n_layers": 1, "d_state": 2}}
    content["model"] = {"class_path": "dnamamba.training.finetune.ClassificationModule",
                        "init_args": model}  # fmt: skip
    data = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"
    files = dict.fromkeys(("train", "validation", "test"), str(tmp_path / "t.csv"))
    content["data"] = {"class_path": data, "init_args": {"files": files, "global_batch_size": 4}}
    path = tmp_path / "fine.yaml"
    path.write_text(yaml.safe_dump(content))
    said = tried(tmp_path, capsys, "fit", "-c", str(path))
    assert "\ntest: 40 samples of 64 bases at most\n" in said
    assert main(["fit", "-c", str(path)]) == 0
    said = tried(tmp_path, capsys, "test", "-c", str(path))  # no picture, no table
    assert re.search(r"^time: about \d+ s \(10 batches, ", said, re.MULTILINE)
    new = ["predict", str(tmp_path / "run" / "model"), str(tmp_path / "t.csv")]
    said = tried(tmp_path, capsys, *new, f"{tmp_path}/o.tsv")
    assert said.startswith("predict: 2.6 kbp, about ")


VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
COMMANDS = {
    "evaluate": (["ref.fa", "-o", "o.tsv"], "1.0 kbp"),
    "evaluate as a track": (["ref.fa", "-o", "new/o.bw"], "1.0 kbp"),  # written as values come
    "embed": (["ref.fa", "o.npz"], "1.0 kbp"),
    "score": (["ref.fa", "o.vcf.gz", "--vcf=v.vcf", "--context=32"], "20 variants"),
    "mutagenesis": (["ref.fa", "o", "--region=c:0-9", "--both_strands=false"], "9 bp"),
    "attribute": (["ref.fa", "o", "--region=c:0-9", "--method=gradient"], "9 bp"),
}


@pytest.fixture
def here(model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a ``model`` in it."""
    checkpoint.save(tmp_path / "model", model, Tokenizer())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_that_uses_a_model(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "ref.fa").write_text(f">c\n{'ACGTTGCAAC' * 100}\n")
    records = [f"c\t{i + 1}\t.\tA\tG\t.\t.\t.\n" for i in range(0, 1000, 50)]
    (here / "v.vcf").write_text(VCF + "".join(records))
    command, (given, amount) = case.partition(" ")[0], COMMANDS[case]
    arguments = [command, "model", *given]
    assert tried(here, capsys, *arguments).startswith(f"{command}: {amount}, about ")
    # And it refuses what it refuses; a genome that has a cache is not read again.
    assert main(arguments) == 0
    before = tree(here)
    capsys.readouterr()
    assert main([*arguments, "--dry-run"]) == 1
    assert "exist" in capsys.readouterr().err
    assert tree(here) == before


def test_work_that_ends_within_its_seconds_writes_no_track(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A track is written as its values come, and not behind them as a table."""
    (here / "ref.fa").write_text(">c\nACGTTGCAAC\n>d\nACGT\n")
    monkeypatch.setattr(dry_run, "_SECONDS", 60.0)
    said = tried(here, capsys, "evaluate", "model", "ref.fa", "-o", "o.bw")
    assert said.startswith("evaluate: 14 bp, about ")


@pytest.mark.parametrize(
    ("every", "between", "steps", "count"),
    [(None, 3, 60, 20), (1, 4, 3, 0), (1, 4, 10, 2), (1, 4, 15, 3), (1, 11, 33, 3), (2, 4, 15, 1)],
)
def test_validations_that_belong_to_steps(
    every: int | None, between: int, steps: int, count: int
) -> None:
    """Of epochs of 11 batches, also of one that is not whole."""
    trainer: Any = SimpleNamespace(
        check_val_every_n_epoch=every,
        val_check_batch=between,
        accumulate_grad_batches=1,
        num_training_batches=11,
    )
    assert validations(trainer, steps) == count


def test_sigterm_leaves_no_cache_behind(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "model", model, Tokenizer())
    (tmp_path / "ref.fa").write_text(f">c\n{'ACGTTGCAAC' * 100}\n")

    def stop(*_: Any, **__: Any) -> None:
        assert list((tmp_path / "tmp").glob("dnamamba-genomes-*/*"))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("dnamamba.inference.evaluation.evaluate", stop)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        main(["evaluate", f"{tmp_path}/model", f"{tmp_path}/ref.fa", "--dry_run"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_is_of_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["evaluate", "model", "a.fa", "--dry-run"]) == 2
    assert "a dry run is of one process" in capsys.readouterr().err
