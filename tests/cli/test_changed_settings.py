"""What a resumed run may set otherwise: row by row the table in docs/concepts/resume.md."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from cli_cases import config, step
from stopped_runs import configuration, copy_samples

from dnamamba.cli import main

ROOT = Path(__file__).parents[2]
STOPPING = """
- class_path: pytorch_lightning.callbacks.EarlyStopping
  init_args: {monitor: validation/loss, patience: %d, min_delta: 100.0}
"""


def rows(run: Path, column: str) -> dict[int, float]:
    """Step -> value, of a column of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return {int(r["step"]): float(r[column]) for r in csv.DictReader(file) if r.get(column)}


def last(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return content


def has_rate(run: Path) -> bool:
    rates = rows(run, "train/lr")
    return rates[6] == 0.01 and rates[8] == rates[12] == 0.002


def has_settings(run: Path) -> bool:
    groups = last(run)["optimizer_states"][0]["param_groups"]
    return groups[0]["weight_decay"] == 0.3 and groups[0]["betas"] == (0.8, 0.9)


ENDS_AT_12 = "--trainer.max_steps=12"
# What is changed, and whether the resumed run of 12 steps, 6 of which were done before, shows it.
USED: dict[str, tuple[list[str], Callable[[Path], bool]]] = {
    "trainer.max_steps": ([], lambda run: step(run) == 12),
    "model.optimizer.lr": (["--model.optimizer.lr=0.002"], has_rate),
    "model.optimizer.weight_decay": (
        ["--model.optimizer.weight_decay=0.3", "--model.optimizer.betas=[0.8,0.9]"],
        has_settings,
    ),
    "trainer.accumulate_grad_batches": (
        ["--trainer.accumulate_grad_batches=2"],
        lambda run: step(run) == 12 and list(rows(run, "validation/loss")) == [3, 6, 9, 12],
    ),
    "trainer.val_check_interval": (
        ["--trainer.val_check_interval=2"],
        lambda run: list(rows(run, "validation/loss")) == [3, 6, 8, 10, 12],
    ),
    "trainer.limit_val_batches": (
        ["--trainer.limit_val_batches=0"],
        lambda run: list(rows(run, "validation/loss")) == [3, 6],
    ),
    "trainer.log_every_n_steps": (
        ["--trainer.log_every_n_steps=3"],
        lambda run: list(rows(run, "train/loss")) == [2, 4, 6, 9, 12],
    ),
    "checkpoint_every": (["--checkpoint_every=5"], lambda run: step(run) == 12),
    "data.num_workers": (["--data.num_workers=1"], lambda run: step(run) == 12),
    "trainer.logger": (
        ["--trainer.logger=CSVLogger", "--trainer.logger.save_dir=FOLDER/more"],
        lambda run: (
            bool(list((run.parent / "more").rglob("metrics.csv")))
            and list(rows(run, "train/loss")) == [2, 4, 6, 8, 10, 12]
        ),
    ),
    "trainer.gradient_clip_val": (
        ["--trainer.gradient_clip_val=0.001"],
        lambda run: step(run) == 12,
    ),
    "trainer.precision": (["--trainer.precision=bf16-mixed"], lambda run: step(run) == 12),
    "data.soft_mask_weight": (["--data.soft_mask_weight=0.5"], lambda run: step(run) == 12),
}
REFUSED = {
    "data.global_batch_size": ("8", "global_batch_size (4 in the checkpoint, 8 now)"),
    "data.length": ("128", "length (64 in the checkpoint, 128 now)"),
    "data.length_schedule": ("[[0, 128], [8, 64]]", "length_schedule (None in the checkpoint, [["),
    "data.seed": ("1", "seed (0 in the checkpoint, 1 now)"),
    "data.genomes": ("[data/samples/hiv1.fa]", "bases of the genomes"),
    "data.split": ("{test: {fraction: 0.5}}", "the training samples are others"),
    "data.windows.stride": ("32", "the training samples are others"),
    "model.model.d_model": ("16", "model.d_model is 16 here and 8 in the checkpoint"),
}


@pytest.mark.parametrize("setting", USED)
def test_used_and_said(
    setting: str, fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, shows = USED[setting]
    flags = [flag.replace("FOLDER", str(tmp_path)) for flag in flags]
    capsys.readouterr()
    assert main(["fit", "-c", fitted, "--ckpt_path", "last", ENDS_AT_12, *flags]) == 0
    said = next(
        line for line in capsys.readouterr().err.splitlines() if line.startswith("resumed with")
    )
    assert "trainer.max_steps 12 (before: 6)" in said
    assert setting in said
    assert shows(tmp_path / "run")


@pytest.mark.parametrize("setting", REFUSED)
def test_refused(
    setting: str, fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and what the run has left stays as it is, its configuration too."""
    value, reason = REFUSED[setting]
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["fit", "-c", fitted, "--ckpt_path=last", ENDS_AT_12, f"--{setting}={value}"]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_without_effect(fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", fitted, "--ckpt_path=last", "--seed_everything=7"]) == 0
    expected = "seed_everything 7 (before: 1), which has no effect on a resumed run"
    assert expected in capsys.readouterr().err


def test_nothing_is_said_where_nothing_differs(
    fitted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", fitted, "--ckpt_path=last"]) == 0
    assert "other settings" not in capsys.readouterr().err


def test_patience(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A run that was stopped early stays stopped, unless its patience is raised."""
    trainer = {"max_steps": 30, "callbacks": yaml.safe_load(STOPPING % 1)}
    fit = ["fit", "-c", config(tmp_path, trainer=trainer)]
    assert main(fit) == 0
    assert step(tmp_path / "run") == 6
    assert main([*fit, "--ckpt_path=last"]) == 0
    assert "stopped early at step 6; to train on, raise the patience" in caplog.text
    assert step(tmp_path / "run") == 6
    trainer["callbacks"] = yaml.safe_load(STOPPING % 3)
    assert main(["fit", "-c", config(tmp_path, trainer=trainer), "--ckpt_path=last"]) == 0
    assert "callbacks.0.init_args.patience 3 (before: 1)" in capsys.readouterr().err
    assert step(tmp_path / "run") == 12


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    copy_samples(folder)
    content = configuration("sequences", folder, folder / "run")
    content["trainer"]["max_steps"] = 4
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert main(["fit", "-c", str(folder / "config.yaml")]) == 0
    return folder


@pytest.mark.parametrize(
    ("setting", "status", "said"),
    [
        ("tuning.freeze=true", 1, "cannot resume: the checkpoint trains parameters in groups of"),
        ("tuning.layer_decay=0.5", 1, "set model.tuning as in the run that wrote the checkpoint"),
        ("tuning.lora.rank=2", 1, "the checkpoint is of another model: it lacks model.backbone."),
        ("head.dropout=0.5", 1, "head.dropout is 0.5 here and 0.2 in the checkpoint"),
        ("monitor=mcc", 0, "best validation/mcc"),
        ("class_weights=true", 0, "model.init_args.class_weights True (before: False)"),
        ("tuning.unfreeze_every=3", 0, "model.init_args.tuning.unfreeze_every 3 (before: null)"),
    ],
)
def test_of_fine_tuning(
    setting: str,
    status: int,
    said: str,
    tuned: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(tuned / "run", tmp_path / "run")
    run = [f"--run_dir={tmp_path / 'run'}", "--ckpt_path=last", "--trainer.max_steps=8"]
    config = str(tuned / "config.yaml")
    assert main(["fit", "-c", config, *run, f"--model.init_args.{setting}"]) == status
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_the_table_names_what_is_tested() -> None:
    table = (ROOT / "docs" / "concepts" / "resume.md").read_text()
    for setting in (*USED, *REFUSED, "seed_everything"):
        assert f"`{setting}`" in table
