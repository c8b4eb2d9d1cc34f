"""Disk full, kill, truncation, a flipped bit: the last good checkpoint stays, errors are clear."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from dnamamba.training.checkpoint_io import AtomicCheckpointIO

SAVE = """
import os, resource, signal, sys
import torch
from dnamamba.lean import import_lightning
import_lightning()
from dnamamba.training.checkpoint_io import AtomicCheckpointIO
path = sys.argv[1]
if os.fork() == 0:  # a start costs seconds: one serves both
    # What a full disk does, without a disk: the system refuses bytes past a limit.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
else:
    status = os.waitstatus_to_exitcode(os.wait()[1])
    print(status, os.listdir(os.path.dirname(path)), flush=True)
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(1 << 20)}, path)
"""
RUN: dict[str, Any] = {"state_dict": {}, "pytorch-lightning_version": "2.6.0"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    content = {**RUN, "weights": torch.arange(1000.0), "step": 7}
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def load(path: Path) -> dict[str, Any]:
    return AtomicCheckpointIO().load_checkpoint(path, weights_only=True)


def test_round_trip(saved: Path) -> None:
    assert load(saved)["step"] == 7
    assert torch.equal(load(saved)["weights"], torch.arange(1000.0))
    assert [path.name for path in saved.parent.iterdir()] == ["last.ckpt"]


def test_disk_full_and_kill_leave_the_last_checkpoint(saved: Path) -> None:
    command = [sys.executable, "-c", SAVE, str(saved)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "1 ['last.ckpt']\n"  # when the disk was full
    last_line = done.stderr.strip().splitlines()[-1]
    assert re.search(r"OSError.*no room to write .*last\.ckpt.*MiB free.*is intact", last_line)

    assert done.returncode == -9
    assert load(saved)["step"] == 7
    AtomicCheckpointIO().save_checkpoint({**RUN, "step": 8}, saved)
    assert load(saved)["step"] == 8
    assert [path.name for path in saved.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "text"])
def test_damage_is_named_with_a_remedy(saved: Path, damage: str) -> None:
    whole = saved.read_bytes()
    at = whole.index(torch.arange(1000.0).numpy().tobytes()) + 100
    broken = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "flipped": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "text": b"loss\n1.0\n",
    }
    saved.write_bytes(broken[damage])
    with pytest.raises(ValueError, match=r"last\.ckpt is truncated or damaged.*no other one"):
        load(saved)
    (saved.parent / "step=5.ckpt").touch()
    with pytest.raises(ValueError, match=r"resume from another one in its folder: step=5\.ckpt"):
        load(saved)


def test_what_no_training_run_wrote(saved: Path) -> None:
    torch.save({"state_dict": {}}, saved)
    with pytest.raises(
        ValueError, match=r"last\.ckpt is no checkpoint of a training run: it lacks"
    ):
        load(saved)
    torch.save([1], saved)
    with pytest.raises(ValueError, match="no checkpoint of a training run"):
        load(saved)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*a\.ckpt"):
        load(tmp_path / "a.ckpt")


def test_code_in_a_checkpoint_is_refused(saved: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return print, ("run",)

    torch.save({"weights": Evil()}, saved)
    with pytest.raises(ValueError, match=r"last\.ckpt does not load"):
        load(saved)


def test_a_trainer_uses_it(tmp_path: Path) -> None:
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        plugins=[AtomicCheckpointIO()],
    )
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
