"""What counts the kernels' instructions: when it fails. Its figures are a benchmark's."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scan_static(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("scan_static")


def test_only_a_count_that_has_grown_is_named(scan_static: ModuleType) -> None:
    committed = json.loads((BENCHMARKS / "results" / "scan_static.json").read_text())["kernels"]
    assert {kernel["kernel"] for kernel in committed} >= {"summary", "output", "prepare", "adjoint"}
    assert scan_static.grown(committed, committed) == []
    fewer = [kernel | {"issued": kernel["issued"] - 1} for kernel in committed]
    assert scan_static.grown(fewer, committed) == []
    first, *others = committed
    spilling = first | {"issued": 2 * first["issued"], "spilled_bytes": 8}
    issued, spilled = scan_static.grown([spilling, *others], committed)
    assert issued == f"summary: issued {2 * first['issued']}, was {first['issued']}"
    assert spilled == "summary: spilled_bytes 8, was 0"


def test_the_interpreter_is_refused() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, str(BENCHMARKS / "scan_static.py")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert "TRITON_INTERPRET" in result.stderr
