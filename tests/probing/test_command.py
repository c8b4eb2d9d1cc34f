"""``dnamamba probe`` as it is typed."""

from pathlib import Path

import pytest

from dnamamba.cli import main
from dnamamba.probing.result import FILES

QUICK = ["--learners", "linear", "--kmers", "2", "--folds", "3", "--device", "cpu"]


def test_a_table_and_files(
    folder: str, csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = ["probe", folder, str(csv), "-o", str(out), "--layers", "0", "-1", *QUICK]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert said == (out / "probe.md").read_text()
    assert "| final | linear" in said
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert main(line) == 1
    assert "holds probe.md; name another folder, or set overwrite" in capsys.readouterr().err
    assert main([*line, "--overwrite"]) == 0
    assert capsys.readouterr().out == said


def test_without_an_output_nothing_is_written(
    folder: str, csv: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(csv.parent)
    before = sorted(csv.parent.iterdir())
    quick = [*QUICK, "--random_weights", "false", "--groups", "none"]
    assert main(["probe", folder, "labelled.csv", *quick]) == 0
    assert sorted(csv.parent.iterdir()) == before
    assert "random" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--kmers", "two"], "kmers must be whole numbers, or none; got two"),
        (["--layers", "last"], "layers must be whole numbers"),
        (["--labels.kind", "number"], "label 'gc' is no number"),
        (["--fields.label", "labels"], "did you mean 'label'?"),
        (["-o", "labelled.csv"], "output must be a folder"),
        (["-o", "labelled.csv/out"], "output labelled.csv/out"),
    ],
)
def test_errors(
    folder: str, csv: Path, flags: list[str], problem: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(csv.parent)
    assert main(["probe", folder, "labelled.csv", *flags]) == 1
    assert problem in capsys.readouterr().err


def test_nothing_is_computed_before_all_is_checked(
    folder: str, csv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dnamamba.probing.probe.of_kmers", None)
    monkeypatch.setattr("dnamamba.probing.probe.embed_sources", None)
    csv.write_text(csv.read_text() + "ACG!T,at\n")
    assert main(["probe", folder, str(csv)]) == 1
    assert f"{csv}, line 62, position 3" in capsys.readouterr().err
    assert main(["probe", folder, str(csv), "--layers", "7"]) == 1
    assert "layers must be 0 to 1" in capsys.readouterr().err
