"""A run's folder: what a new run takes away of the one before."""

import os
from pathlib import Path

import pytest
from cli_cases import config

from dnamamba.cli import main
from dnamamba.cli.runs import RunFolder

RUN = (
    *("metrics.csv", "config.yaml", "checkpoints/last.ckpt"),
    *("model/config.json", "model/README.md"),
)
FOUND = ("test.json", "predictions.parquet", "predictions-1.tsv", "confusion.png", "roc.png")


def test_what_was_found_about_a_run_goes_with_it(tmp_path: Path) -> None:
    for name in (*RUN, *FOUND, "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    folder = RunFolder(tmp_path)
    with pytest.raises(ValueError, match="holds a run already"):
        folder.prepare(None, overwrite=False)
    assert all((tmp_path / name).is_file() for name in (*RUN, *FOUND))
    assert folder.prepare(None, overwrite=True) is None
    assert all((tmp_path / name).is_file() for name in (*RUN, *FOUND))
    folder.clear()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["notes.txt"]


@pytest.mark.parametrize(
    "flags",
    [["--trainer.devices=2", "--data.global_batch_size=3"], ["--model.objective=masked_bases"]],
)
def test_a_run_makes_way_for_none_that_is_refused(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in RUN:
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")
    assert main(["fit", "-c", config(tmp_path), "--overwrite", *flags]) == 1
    assert "dnamamba fit: " in capsys.readouterr().err
    assert all((tmp_path / "run" / name).read_text() == "old" for name in RUN)


@pytest.mark.parametrize(
    ("command", "name"),
    [("test", "test.json"), ("predict", "predictions.tsv")],
)
def test_results_that_cannot_be_written_are_refused_before_the_work(
    command: str,
    name: str,
    fitted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "run" / name).mkdir()
    assert main([command, "-c", fitted]) == 1
    assert f"{name} is a folder; make way for it, or name another" in capsys.readouterr().err
    (tmp_path / "run" / name).rmdir()
    access = os.access  # of root too
    monkeypatch.setattr(os, "access", lambda p, mode: Path(p).name != "run" and access(p, mode))
    assert main([command, "-c", fitted]) == 1
    assert "run is read-only to you; make way" in capsys.readouterr().err


@pytest.mark.parametrize("lies", ["checkpoints", "metrics.csv", "model"])
def test_a_run_folder_whose_files_are_of_another_kind(
    lies: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    if lies == "metrics.csv":
        (run / lies).mkdir()
    else:
        (run / lies).write_text("")
    assert main(["fit", "-c", config(tmp_path)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("dnamamba fit: ")
    assert str(run / lies) in error
