"""Processes that share sequences, each a run of ``kernels/pieces_driver.py``."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Ends", "on"]

DRIVER = Path(__file__).parent / "kernels" / "pieces_driver.py"

Ends = list[dict[str, str]]


def on(folder: Path, processes: int, device: str, cases: Sequence[str] = ()) -> Ends:
    """Of each process how each case ended; ``device`` and ``cases`` as the driver takes them."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    if device == "cpu":
        environment["DNAMAMBA_BACKEND"] = "torch"  # numba would compile in each process
    if device == "interpreted":
        environment |= {"DNAMAMBA_BACKEND": "triton", "TRITON_INTERPRET": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", str(DRIVER), str(folder), str(rank), str(processes),
             device, *cases],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=300)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    files = [folder / f"{rank}.json" for rank in range(processes)]
    assert all(file.is_file() for file in files), errors
    return [json.loads(file.read_text()) for file in files]
