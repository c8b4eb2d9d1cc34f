"""``dnamamba doctor``: what it says, and that it sees what is amiss."""

from pathlib import Path

import pytest
import torch

from dnamamba.cli import main
from dnamamba_kernels import selective_scan
from dnamamba_kernels.backend import use


def said(capsys: pytest.CaptureFixture[str]) -> str:
    with use("torch"):
        assert main(["doctor"]) == 0
    return capsys.readouterr().out


def test_what_an_issue_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys)
    for line in (f"torch                {torch.__version__}", "torch on cpu         right to "):
        assert line in text
    assert "vertebrate-0.5m" in text
    assert text.endswith("nothing is amiss\n")


def test_a_folder_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "file" / "cache"))
    text = said(capsys)
    assert "to mend:" in text
    assert "set $DNAMAMBA_CACHE to another folder" in text


@pytest.mark.parametrize("what", ["wrong", "raises"])
def test_a_kernel_that_is_not_right(
    what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*tensors: torch.Tensor, backend: str) -> tuple[torch.Tensor, torch.Tensor]:
        y, state = selective_scan(*tensors, backend=backend)
        if backend == "torch" and what == "raises":
            raise RuntimeError("no kernel image")
        return (y * 1.001 if backend == "torch" else y), state

    monkeypatch.setattr("dnamamba_kernels.selective_scan", broken)
    text = said(capsys)
    assert "to mend:\n  torch on cpu: " in text
    assert "report it with this text" in text
