"""Runs side by side, as the scripts do them: what is told of each, and the status at the end."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dnamamba.benchmark.runs.outcomes import Outcome

Script = Callable[[str], ModuleType]


def test_an_error_costs_one_run(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    lines: Any = script("command_line")
    left = ["good", "bad", "late"]

    def run(ready: Any, work: Any, on_device: Any, workers: Any, *rest: Any) -> Iterator[Outcome]:
        assert workers == (3, 0), "no more than there are runs"
        (tmp_path / "logs").mkdir()
        left.remove("good")
        yield Outcome("good", 1.0)
        yield Outcome("bad", 2.0, "Traceback\nValueError: wrong\n")

    monkeypatch.setattr(lines, "run_in_processes", run)
    parser = argparse.ArgumentParser()
    lines.add_run_options(parser, workers=8)
    pack = tmp_path / "packed"
    asked = parser.parse_args(
        ["--output", str(tmp_path), "--pack", str(pack), "--set", "a.b=1e-3", "c=[1]"]
    )
    assert dict(asked.set) == {"a.b": "1e-3", "c": [1]}
    assert lines.do_missing(asked, lambda: list(left), print) == 1
    told = capsys.readouterr().out
    assert "1.0 s  good\n" in told
    assert "bad FAILED: ValueError: wrong" in told
    assert "2 runs left, 1 failed" in told
    assert "Traceback" in (tmp_path / "logs" / "bad.error").read_text()
    assert (pack / "rows.tar").is_file()
    left.clear()
    monkeypatch.setattr(lines, "run_in_processes", lambda *rest: iter(()))
    assert lines.do_missing(asked, lambda: list(left), print) == 0
