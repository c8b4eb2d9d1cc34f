"""A run that is stopped and goes on, or cannot."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_cases import config, step

from dnamamba.cli import main

STOPPED = """
import os, signal, sys
from dnamamba.cli import main
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
