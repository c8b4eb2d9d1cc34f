"""What docs/probe.md shows of the probe works."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dnamamba.cli.use import make_parser
from dnamamba.probing import columns
from dnamamba.probing.command import probe_file
from dnamamba.probing.result import FILES

PAGE = (Path(__file__).parents[2] / "docs" / "probe.md").read_text()


def test_the_ten_lines(
    csv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(csv.parent)
    monkeypatch.setattr(columns, "STRENGTHS", (0.1, 1.0))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 10
    names: dict[str, Any] = {}
    exec(code, names)
    assert "| vertebrate-0.5m | forest" in capsys.readouterr().out
    assert names["pipeline"].score(names["table"]["sequence"], names["table"]["label"]) > 0.5


def test_the_commands_and_flags_are_understood() -> None:
    lines = re.findall(r"^    dnamamba probe (.*)", PAGE, re.MULTILINE)
    lines += [f"model data {flag} x" for flag in re.findall(r"`(--fields[.a-z]+)", PAGE)]
    assert len(lines) > 3
    parser = make_parser("probe", probe_file)
    for line in lines:
        parser.parse_args(shlex.split(line))
    assert all(f"`{name}`" in PAGE for name in FILES)
