"""A run that is stopped and goes on, or cannot."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from cli_cases import config, step

from dnamamba.cli import main
from dnamamba.training.checkpoint_io import AtomicCheckpointIO

STOPPED = """
import os, signal, sys
from dnamamba.cli import main
from dnamamba.lean import import_lightning
import_lightning()
from dnamamba.training.metrics_file import MetricsFile

log = MetricsFile.log_metrics

def log_and_stop(self, metrics, step=None):
    log(self, metrics, step)
    if step == 7:
        os.kill(os.getpid(), signal.SIGTERM)

MetricsFile.log_metrics = log_and_stop
sys.exit(main(sys.argv[1:]))
"""


def test_sigterm_then_last_gives_the_uninterrupted_run(tmp_path: Path) -> None:
    """Bit for bit, and metrics.csv goes on where it stopped."""
    path = config(tmp_path, trainer={"max_steps": 12, "log_every_n_steps": 1})
    assert main(["fit", "-c", path, "--run_dir", str(tmp_path / "whole")]) == 0

    fit = ["fit", "-c", path, "--ckpt_path", "last"]
    stopped = subprocess.run([sys.executable, "-c", STOPPED, *fit], capture_output=True, text=True)
    assert stopped.returncode == 143, stopped.stderr
    assert "repeat the command with --ckpt_path last" in stopped.stderr
    assert step(tmp_path / "run") == 7

    assert main(fit) == 0
    whole, resumed = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("whole", "run")
    )
    assert resumed["global_step"] == 12
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_damaged_checkpoint_is_named(
    fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    capsys.readouterr()
    assert main(["fit", "-c", fitted, "--ckpt_path", "last"]) == 1
    error = capsys.readouterr().err
    assert "last.ckpt is truncated or damaged" in error
    assert "best.ckpt" in error


def test_another_architecture_is_named(fitted: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    again = ["fit", "-c", fitted, "--ckpt_path", "last", "--model.model.d_model=16"]
    assert main(again) == 1
    assert "model.d_model is 16 here and 8 in the checkpoint" in capsys.readouterr().err


def losses(run: Path) -> list[tuple[str, str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [
            (row["step"], row["train/loss"], row["validation/loss"]) for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_run_cut_short_before_its_first_checkpoint_begins_anew(
    overwrite: list[str], fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its best.ckpt and rows make way."""
    run = tmp_path / "run"
    (run / "checkpoints" / "last.ckpt").unlink()
    shutil.rmtree(run / "model")
    capsys.readouterr()
    assert main(["fit", "-c", fitted, "--ckpt_path=last", "--trainer.max_steps=2", *overwrite]) == 0
    assert ("has no last.ckpt yet: the run begins anew" in capsys.readouterr().err) != bool(
        overwrite
    )
    assert step(run) == 2
    assert len((run / "metrics.csv").read_text().splitlines()) == 2
    assert not (run / "checkpoints" / "best.ckpt").exists()


@pytest.mark.parametrize("left", ["model/config.json", "checkpoints/epoch=0.ckpt"])
def test_but_not_one_that_had_a_checkpoint(
    left: str, fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.rename(tmp_path / "run" / left)
    capsys.readouterr()
    assert main(["fit", "-c", fitted, "--ckpt_path=last"]) == 1
    error = capsys.readouterr().err
    assert f"has no last.ckpt to resume from, but {tmp_path / 'run'}" in error
    assert "--overwrite" in error
    assert main(["fit", "-c", fitted, "--ckpt_path=last", "--overwrite"]) == 0


def test_how_a_run_was_resumed_is_no_part_of_its_configuration(fitted: str, tmp_path: Path) -> None:
    assert main(["fit", "-c", fitted, "--ckpt_path=last"]) == 0
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert saved["ckpt_path"] is None
    assert main(["test", "-c", str(tmp_path / "run" / "config.yaml")]) == 0


def test_a_moved_run_remembers_its_best(
    fitted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    before = torch.load(moved / "checkpoints" / "best.ckpt", weights_only=True)["global_step"]
    resumed = ["--ckpt_path=last", f"--run_dir={moved}", "--trainer.max_steps=7"]
    assert main(["fit", "-c", fitted, *resumed]) == 0
    after = torch.load(moved / "checkpoints" / "best.ckpt", weights_only=True)
    assert after["global_step"] == before
    assert "best validation" in capsys.readouterr().err


KEPT = ".best.ckpt.before"


def a_better_step_behind_the_last(folder: Path) -> tuple[dict[str, Path], str]:
    """Runs of one configuration: whole, and killed behind a validation that last.ckpt misses.

    The best of ``whole`` is its last validation; that of ``run``, by its last.ckpt, is before.
    """
    path = config(
        folder,
        trainer={"max_steps": 6, "val_check_interval": 2},
        model={"optimizer": {"lr": 1e-2, "warmup_steps": 0, "min_lr_ratio": 1.0}},
        checkpoint_every=4,
    )
    runs = {name: folder / name for name in ("whole", "run", "ahead")}
    assert main(["fit", "-c", path, f"--run_dir={runs['whole']}"]) == 0
    assert main(["fit", "-c", path, f"--run_dir={runs['run']}", "--trainer.max_steps=4"]) == 0
    assert [best_step(runs[name]) for name in ("whole", "run")] == [6, 4]
    return runs, path


def best_step(run: Path) -> int:
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    return int(checkpoint["global_step"])


@pytest.mark.parametrize("kept", [True, False])
def test_a_best_that_the_last_does_not_know_is_put_back(
    kept: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a GPU, or at another learning rate, the run need not come by that step again."""
    runs, path = a_better_step_behind_the_last(tmp_path)
    shutil.copytree(runs["run"], runs["ahead"])
    checkpoints = runs["ahead"] / "checkpoints"
    if kept:
        (checkpoints / "best.ckpt").rename(checkpoints / KEPT)
    shutil.copy(runs["whole"] / "checkpoints" / "best.ckpt", checkpoints / "best.ckpt")
    for name in ("run", "ahead"):  # worse from here on, so that the best stays that of step 4
        worse = ["--model.optimizer.lr=30", f"--run_dir={runs[name]}", "--ckpt_path=last"]
        assert main(["fit", "-c", path, *worse]) == 0
    assert best_step(runs["run"]) == 4
    assert best_step(runs["ahead"]) == (4 if kept else 6)
    assert not (checkpoints / KEPT).exists()
    if kept:
        exported = [(runs[name] / "model" / "model.safetensors") for name in ("run", "ahead")]
        assert exported[0].read_bytes() == exported[1].read_bytes()


@pytest.mark.parametrize("kept", [True, False])
def test_and_is_found_again_where_nothing_else_is_set(kept: bool, tmp_path: Path) -> None:
    runs, path = a_better_step_behind_the_last(tmp_path)
    checkpoints = runs["run"] / "checkpoints"
    if kept:
        (checkpoints / "best.ckpt").rename(checkpoints / KEPT)
    shutil.copy(runs["whole"] / "checkpoints" / "best.ckpt", checkpoints / "best.ckpt")
    assert main(["fit", "-c", path, "--ckpt_path=last"]) == 0
    assert losses(runs["run"]) == losses(runs["whole"])
    assert best_step(runs["run"]) == 6
    exported = [runs[name] / "model" / "model.safetensors" for name in ("run", "whole")]
    assert exported[0].read_bytes() == exported[1].read_bytes()


def test_the_best_of_before_is_kept_until_the_last_knows_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill at any moment finds the best that last.ckpt knows."""
    path = config(tmp_path, trainer={"max_steps": 9, "val_check_interval": 1}, checkpoint_every=4)
    checkpoints = tmp_path / "run" / "checkpoints"
    states = []
    save = AtomicCheckpointIO.save_checkpoint

    def save_and_look(self: AtomicCheckpointIO, *args: Any, **kwargs: Any) -> None:
        save(self, *args, **kwargs)
        if (checkpoints / "last.ckpt").is_file():
            last = torch.load(checkpoints / "last.ckpt", weights_only=True)["callbacks"]
            known = next(v["best_step"] for k, v in last.items() if k.startswith("ModelCheckpoint"))
            files = [p for p in (checkpoints / "best.ckpt", checkpoints / KEPT) if p.is_file()]
            steps = [torch.load(p, weights_only=True)["global_step"] for p in files]
            states.append(known in steps)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save_and_look)
    assert main(["fit", "-c", path]) == 0
    assert len(states) > 4
    assert all(states)
    assert not (checkpoints / KEPT).exists()


def test_validation_is_counted_in_optimiser_steps(tmp_path: Path) -> None:
    trainer = {"accumulate_grad_batches": 2}
    assert main(["fit", "-c", config(tmp_path, trainer=trainer)]) == 0
    assert [row for row, _, validated in losses(tmp_path / "run") if validated] == ["3", "6"]


@pytest.mark.parametrize("batch_ended", [False, True])
def test_a_checkpoint_of_before_goes_on(batch_ended: bool, fitted: str, tmp_path: Path) -> None:
    """Without marks, with Lightning's counts as they stood in the midst of a batch's end."""
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    for name in ("resume_point", "running_sums"):
        del checkpoint[name]
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counts in (batches["total"], batches["current"]):
        # Saved before the validation of its step, or by an error in the next one.
        counts["completed" if batch_ended else "ready"] += -1 if batch_ended else 1
    torch.save(checkpoint, last)
    assert main(["fit", "-c", fitted, "--ckpt_path=last", "--trainer.max_steps=10"]) == 0
    assert step(tmp_path / "run") == 10
    rows = losses(tmp_path / "run")
    assert [row for row, _, validated in rows if validated] == ["3", "6", "9"]
    assert [row for row, trained, _ in rows if trained] == ["2", "4", "6", "8", "10"]
