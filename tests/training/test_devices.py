"""Two processes train as one does, and stop together."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

DRIVER = Path(__file__).with_name("devices_driver.py")


def on_two(folder: Path, accelerator: str, *cases: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DRIVER), str(folder), "2", accelerator, *cases]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Every case on two processes of the CPU: the folder, and how the script ended."""
    folder = tmp_path_factory.mktemp("two")
    return folder, on_two(folder, "cpu", "whole", "plain", "fused")


def metrics(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text())
    return [{k: v for k, v in row.items() if not k.endswith("per_second")} for row in rows]


two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.mark.parametrize(
    "accelerator", ["cpu", pytest.param("gpu", marks=[pytest.mark.gpu, two_gpus])]
)
def test_two_processes_train_as_one(
    tmp_path: Path, accelerator: str, request: pytest.FixtureRequest
) -> None:
    """Of unlike weights: a mean of the processes' means would differ in the first digit."""
    runpy.run_path(str(DRIVER))["train"](tmp_path / "one", 1, accelerator, "whole")
    if accelerator == "cpu":
        folder, done = request.getfixturevalue("two")
    else:
        folder, done = tmp_path / "two", on_two(tmp_path / "two", accelerator, "whole")
        assert done.returncode == 0, done.stderr
    folders = tmp_path / "one" / "whole", folder / "whole"
    assert (folders[1] / "metrics.json").is_file(), done.stderr
    one, two = (
        torch.load(folder / "last.ckpt", map_location="cpu", weights_only=True)
        for folder in folders
    )
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-4, atol=1e-5)
    assert len(one["random_state"]) == 1
    assert len(two["random_state"]) == 2
    for ours, theirs in zip(*map(metrics, folders), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("kind", ["plain", "fused"])
def test_nan_on_one_process_stops_both(
    kind: str, two: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    folder, done = two[0] / kind, two[1]
    assert done.returncode != 0
    errors = [(folder / f"error-{rank}.txt").read_text() for rank in (0, 1)]
    assert "the loss is nan at step 4 on rank 1" in errors[1]
    assert "window 17, window 19" in errors[1]
    assert "on rank 0" in errors[0]
    assert all("last.ckpt" in error for error in errors)
    assert not (folder / "metrics.json").exists()
    saved = torch.load(folder / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4
