"""Without a GPU: the tests of the fused kernels, in processes where Triton interprets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOM = Path(__file__).parent
# Ops whose tests share a process: to start one takes as long as the quick ones do.
GROUPS = [
    "model",
    "selective_scan",
    "block bidirectional",
    "math simple step strides pieces add_rms_norm causal_conv1d",
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels themselves run here")
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("group", GROUPS)
def test_the_kernels_are_right_in_the_interpreter(group: str) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    files = [str(ROOM / f"test_fused_{op}.py") for op in group.split()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files],
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-7000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
