"""The GPU benchmarks: refused without a GPU; what a CPU can run of them, run small."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from dnamamba.config import MambaConfig

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize("name", ["scan_gpu", "model_gpu"])
def test_refused_without_a_gpu(name: str) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "needs a CUDA device" in result.stderr


@pytest.fixture
def model_gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("model_gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_model_figures_of_a_tiny_model(model_gpu: ModuleType) -> None:
    config = MambaConfig(d_model=16, n_layers=1)
    trained = model_gpu.train(config, rows=1, length=32, steps=2, device="cpu")
    assert trained["tokens_per_s"] > 0
    assert model_gpu.infer(config, rows=1, length=32, repeats=1, device="cpu") > 0
    assert model_gpu.decode(config, rows=2, tokens=3, repeats=1, device="cpu") > 0
