"""Two processes train as one does, and stop together."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import dnamamba

DRIVER = Path(__file__).with_name("devices_driver.py")
EQUAL = ("whole", "captured", "sharded", "sharded, resumed", "sharded, mixed")
SPOILED = ("plain", "sharded, spoiled", "fused")


def on_two(folder: Path, accelerator: str, *cases: str) -> subprocess.CompletedProcess[str]:
    return driven(folder, 2, accelerator, *cases)


def driven(
    folder: Path, devices: int, accelerator: str, *cases: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DRIVER), str(folder), str(devices), accelerator, *cases]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Every case on two processes of the CPU: the folder, and how the script ended."""
    folder = tmp_path_factory.mktemp("two")
    return folder, on_two(folder, "cpu", *EQUAL, *SPOILED)


def metrics(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text())
    return [{k: v for k, v in row.items() if not k.endswith("per_second")} for row in rows]


two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
MACHINES = [
    (2, "cpu"),
    pytest.param(1, "gpu", marks=pytest.mark.gpu),
    pytest.param(2, "gpu", marks=[pytest.mark.gpu, two_gpus]),
]


@pytest.fixture(scope="module")
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int, str], tuple[Path, subprocess.CompletedProcess[str]]]:
    """Every case that goes well, on so many devices of a kind."""

    @cache
    def train(devices: int, kind: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        if (devices, kind) == (2, "cpu"):
            two: tuple[Path, subprocess.CompletedProcess[str]] = request.getfixturevalue("two")
            return two
        folder = tmp_path_factory.mktemp(f"{devices}-{kind}")
        done = driven(folder, devices, kind, *EQUAL)
        assert done.returncode == 0, done.stderr
        return folder, done

    return train


@pytest.mark.filterwarnings("ignore:.*exists and is not empty")
@pytest.mark.parametrize("case", EQUAL)
@pytest.mark.parametrize(("devices", "kind"), MACHINES)
def test_several_devices_train_as_one(
    devices: int, kind: str, case: str, trained: Any, tmp_path: Path
) -> None:
    """Of unlike weights: a mean of the processes' means would differ in the first digit.

    Sharded or not the checkpoint is that of one device. On a single device the strategies are put
    to the test, not what they exchange.
    """
    runpy.run_path(str(DRIVER))["train"](tmp_path / "one", 1, kind, case, alone=True)
    folder, done = trained(devices, kind)
    folders = tmp_path / "one" / case, folder / case
    assert (folders[1] / "metrics.json").is_file(), done.stderr
    assert "AccumulateGrad" not in done.stderr  # a gradient that waits for another stream
    one, two = (
        torch.load(folder / "last.ckpt", map_location="cpu", weights_only=True)
        for folder in folders
    )
    close = {"rtol": 2e-2, "atol": 5e-3} if "mixed" in case else {"rtol": 1e-4, "atol": 1e-5}
    assert one.keys() == two.keys()
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, **close)
    written = [dnamamba.load(folders[1] / name).model for name in ("last.ckpt", "model")]
    for name, value in written[0].state_dict().items():
        assert torch.equal(written[1].state_dict()[name], value)
        assert torch.equal(two["state_dict"][f"model.{name}"], value)
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, two)]
    assert states[0].keys() == states[1].keys()
    for number, state in states[0].items():
        for name, value in state.items():
            torch.testing.assert_close(states[1][number][name], value, **close)
    assert len(one["random_state"]) == 1
    assert len(two["random_state"]) == devices
    for ours, theirs in zip(*map(metrics, folders), strict=True):
        if "mixed" in case:  # which of two likely bases is likelier, rounding may decide
            ours, theirs = ({k: v for k, v in x.items() if "acc" not in k} for x in (ours, theirs))
        assert ours == pytest.approx(theirs, rel=1e-2 if "mixed" in case else 1e-4)


def test_a_run_in_shards_goes_on_exactly(
    two: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    whole, resumed = (
        torch.load(two[0] / case / "last.ckpt", weights_only=True)
        for case in ("sharded", "sharded, resumed")
    )
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name


@pytest.mark.parametrize("kind", SPOILED)
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
