"""Without a GPU: the tests of the fused kernels, in a process where Triton interprets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels themselves run here")
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "ops",  # what takes seconds shares a process: to start one takes as long
    ["math simple step strides add_rms_norm causal_conv1d", "selective_scan", "block", "model"],
)
def test_the_kernels_are_right_in_the_interpreter(ops: str) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    files = [str(HERE / f"test_fused_{op}.py") for op in ops.split()]
    command = [sys.executable, "-m", "pytest", "-q", "-x", *files]
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
