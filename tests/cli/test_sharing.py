"""Devices that cannot share sequences as they are set to are refused before any work."""

from pathlib import Path
from typing import Any

import pytest
from cli_cases import config

from dnamamba.cli import main
from dnamamba.cli.sharing import check_sharing

CLASS = "--trainer.strategy=SequenceParallel"
EACH = "--trainer.strategy.devices_per_sequence"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trainer.devices=32", "--trainer.strategy=Sequence_Parallel"], "cut into 32 pieces"),
        (["--trainer.devices=3", CLASS, f"{EACH}=2"], "groups of 2"),
        (["--trainer.devices=[0,1,2]", CLASS, f"{EACH}=2"], "3 device"),
        (["--trainer.devices=1", CLASS, f"{EACH}=2"], "1 device"),
        (["--trainer.devices=2", CLASS, f"{EACH}=0"], "at least 1"),
        (
            ["--trainer.devices=32", "--trainer.strategy=sequence_parallel"],
            "data.length 64 cut into 32 pieces leaves a device 2 base(s), and each needs 3",
        ),
        (
            ["--trainer.devices=64", CLASS, f"{EACH}=32"],
            "set data.length to at least 96",
        ),
        (
            [
                *("--trainer.devices=48", CLASS, f"{EACH}=48"),
                *("--data.length=256", "--data.length_schedule=[[0, 64], [2, 256]]"),
            ],
            "data.length_schedule[0][1] 64 cut into 48 pieces leaves a device 1 base(s), and each",
        ),
    ],
)
def test_one_line_and_no_folder(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config", config(tmp_path), *flags]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data.global_batch_size=3"], "size 3 does not divide by 2 device(s) x 1 accumulated"),
        (
            ["--trainer.devices=4", CLASS, f"{EACH}=2", "--data.global_batch_size=3"],
            "size 3 does not divide by 2 group(s) of 2 devices x 1 accumulated",
        ),
        (["--data.length_schedule=[[0,256],[1,64]]"], "from step 0 on a step reads 1 window of"),
    ],
)
def test_a_batch_that_devices_do_not_divide(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One process says it, before it starts others and reads anything."""
    file = config(tmp_path, data={"genomes": [str(tmp_path / "none.fa")], "global_batch_size": 4})
    assert main(["fit", "--config", file, "--trainer.devices=2", *flags]) == 1
    said = capsys.readouterr().err
    assert message in said.splitlines()[-1]
    assert "distributed" not in said


def test_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = {"class_path": "SequenceParallel", "init_args": {"devices_per_sequence": 4}}
    file = config(tmp_path, trainer={"devices": 6, "strategy": strategy})
    assert main(["fit", "--config", file]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert "6 device(s) cannot be dealt into groups of 4" in error


def test_options_of_no_such_strategy_pass() -> None:
    for strategy in ("auto", "ddp", {"class_path": "pytorch_lightning.strategies.DDPStrategy"}):
        settings: dict[str, Any] = {"trainer": {"devices": 3, "strategy": strategy}}
        check_sharing(settings)
    check_sharing({"trainer": {"devices": "auto", "strategy": "sequence_parallel"}})


@pytest.mark.parametrize("name", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_processes_that_would_each_be_a_run(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "2")
    file = config(tmp_path, data={"genomes": [str(tmp_path / "none.fa")]})
    assert main(["fit", "--config", file]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"2 processes were started ({name} in the environment), but trainer.devices" in said
