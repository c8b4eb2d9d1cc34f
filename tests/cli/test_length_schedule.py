"""Windows that become longer, on the command line: resumed across borders and epochs, reported."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_cases import config, step

from dnamamba.cli import main

SCHEDULE = [[0, 64], [3, 128], [7, 256]]
DATA = {"length": 256, "global_batch_size": 2, "length_schedule": SCHEDULE}
STEPS, EPOCH = 9, 6  # steps


def weights(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["epoch"] >= STEPS // EPOCH - 1
    return content["state_dict"]


def logged(run: Path, column: str) -> list[str]:
    with (run / "metrics.csv").open(newline="") as file:
        return [row[column] for row in csv.DictReader(file) if row["train/loss"]]


def test_a_run_goes_on_from_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """At a border, and at the end of an epoch between two of them."""
    trainer = {"max_steps": STEPS, "log_every_n_steps": 1}
    fit = ["fit", "-c", config(tmp_path, data=DATA, trainer=trainer)]
    assert main([*fit, f"--run_dir={tmp_path / 'whole'}"]) == 0
    said = capsys.readouterr().err
    assert "lengths: a step reads 8 windows of 64 bases; from step 3 on 4" in caplog.text
    assert " activations (2 x 256 bases, nothing recomputed; " in said
    assert "length 64" in said
    lengths = ["64"] * 3 + ["128"] * 4 + ["256"] * 2
    for stop in (3, EPOCH, 7):
        cut = [*fit, "--ckpt_path=last", f"--trainer.max_steps={stop}"]
        with pytest.warns(UserWarning, match="comes to data.length 256 at step 7, and the run"):
            assert main(cut) == 0
        assert step(tmp_path / "run") == stop
        assert logged(tmp_path / "run", "train/length") == lengths[:stop]
    assert main([*fit, "--ckpt_path=last"]) == 0
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "run")
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
    for column in ("step", "train/loss", "train/length", "validation/loss"):
        assert logged(tmp_path / "run", column) == logged(tmp_path / "whole", column)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[[0, 64, 1]]", "data.length_schedule: expected one of list[tuple[int, int]], null"),
        ("[[1, 64]]", "data.length_schedule must begin with step 0"),
        ("[[0, 128], [3, 192]]", "data.length_schedule: [3, 192] does not divide the bases of a"),
    ],
)
def test_mistakes(
    value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", config(tmp_path), f"--data.length_schedule={value}"]) != 0
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_labelled_data_have_no_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["fit", "-c", "configs/finetune-species.yaml", f"--run_dir={tmp_path / 'run'}"]
    assert main([*fit, "--data.init_args.length_schedule=[[0, 64]]"]) != 0
    assert "data: unknown key length_schedule" in capsys.readouterr().err
