"""A run's folder: what a new run takes away of the one before."""

from pathlib import Path

import pytest

from dnamamba.cli.runs import RunFolder

RUN = ("metrics.csv", "config.yaml", "model/config.json", "checkpoints/last.ckpt")
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
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["notes.txt"]
