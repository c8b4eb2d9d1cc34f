"""What a run says of memory before its first step, and where there is too little."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_cases import config

from dnamamba.cli import main
from dnamamba.device import usable_memory
from dnamamba.training.callbacks import memory_forecast
from dnamamba.training.memory import Step
from dnamamba.training.pretrain import PretrainModule

CPU = torch.device("cpu")

LastWords = Callable[[Exception], str]


def line(said: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("memory: "))


def full(error: Exception) -> Any:
    def training_step(self: PretrainModule, batch: Any, batch_idx: int) -> None:
        raise error

    return training_step


@pytest.fixture
def last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> LastWords:
    """The last line of a run that ends by an error in its first step."""

    def last_words(error: Exception) -> str:
        monkeypatch.setattr(PretrainModule, "training_step", full(error))
        assert main(["fit", "-c", config(tmp_path)]) == 1
        return capsys.readouterr().err.splitlines()[-1]

    return last_words


def test_before_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--trainer.max_steps=2", "--trainer.accumulate_grad_batches=2"]
    assert main(["fit", "-c", config(tmp_path), *flags]) == 0
    said = capsys.readouterr().err
    assert line(said).startswith("memory: about ")
    assert "GiB a step: " in line(said)
    assert " activations (2 x 64 bases, nothing recomputed; " in line(said)
    assert line(said).endswith(" with model.recompute: everything)")
    assert said.index("memory: ") < said.index("step 2 of 2")


def test_states_of_lanes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[int] = []
    monkeypatch.setattr(Step, "states", property(lambda step: carried.append(step.carried) or 0))
    for rows in ("packed", "lanes"):
        flags = ["--trainer.max_steps=1", f"--data.rows={rows}", f"--run_dir={tmp_path / rows}"]
        assert main(["fit", "-c", config(tmp_path), *flags]) == 0
    assert set(carried) == {0, 16 * (2 + 3) * 4}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_names_what_fits(error: Exception, last_words: LastWords) -> None:
    said = last_words(error)
    assert "the device's memory is full: " in said
    assert ". Set model.recompute: everything (needs about" in said
    assert "; or trainer.accumulate_grad_batches: 2 (needs about" in said
    assert said.endswith("It leaves the run the same")


def test_another_error_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PretrainModule, "training_step", full(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        main(["fit", "-c", config(tmp_path)])


def test_a_warning_where_the_device_has_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_forecast, "usable_memory", lambda device: 1 << 19)
    sizes = {"data": {"length": 1024, "windows": {"short": "pad"}}}
    with pytest.warns(UserWarning, match=r"a step needs about .*, and cpu has .*\. (Set|No batch)"):
        assert main(["fit", "-c", config(tmp_path, **sizes), "--trainer.max_steps=1"]) == 0


def test_the_memory_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usable = usable_memory(CPU)
    assert usable is not None
    assert 2**28 < usable <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    bound = tmp_path / "memory.max"
    monkeypatch.setattr("dnamamba.device._CGROUP", bound)
    for text, expected in (("max\n", None), (f"{2**20}\n", 2**20)):
        bound.write_text(text)
        found = usable_memory(CPU)
        assert found == expected if expected else found >= usable  # type: ignore[operator]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer"),
        torch.distributed.DistBackendError("NCCL error: remote process exited"),
    ],
)
def test_a_process_that_is_gone_is_said_in_one_line(
    error: Exception, last_words: LastWords
) -> None:
    said = last_words(error)
    assert "another process of this run has ended" in said
    assert said.endswith("(fit: with --ckpt_path last)")
