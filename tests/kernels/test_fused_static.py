"""Without a GPU: the scan's kernels compile for an H200, and their code is what it was tuned to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scan_static.py"


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    pytest.importorskip("triton", reason="Triton is not installed")
    path = tmp_path_factory.mktemp("static") / "counts.json"
    # Triton compiles nothing in a process that interprets.
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, str(SCRIPT), "--json", str(path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return {kernel["kernel"]: kernel for kernel in json.loads(path.read_text())["kernels"]}


# Ten percent above what the variant in use needs (kernels/README.md).
@pytest.mark.parametrize(
    ("name", "issued", "special", "memory", "registers", "spilled_bytes"),
    [
        ("summary", 114, 16, 8, 104, 0),
        ("output", 158, 18, 18, 128, 0),
        ("… alone", 148, 19, 18, 128, 0),
        ("prepare", 216, 19, 20, 168, 0),
        ("… and y", 221, 19, 21, 168, 0),
        ("adjoint", 380, 33, 26, 255, 0),
    ],
)
def test_instructions_of_one_position(
    kernels: dict[str, dict[str, float]],
    name: str,
    issued: float,
    special: float,
    memory: float,
    registers: int,
    spilled_bytes: int,
) -> None:
    kernel = kernels[name]
    assert kernel["issued"] <= issued
    assert kernel["special"] <= special
    assert kernel["memory"] <= memory
    assert kernel["registers"] <= registers
    assert kernel["spilled_bytes"] <= spilled_bytes


def test_the_interpreter_is_refused() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    result = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "TRITON_INTERPRET" in result.stderr
