"""The tests of the fused kernels in processes where Triton interprets them, beside the suite.

They take a third of the suite's work and one core: started when the tests are collected, one after
the other, they are done by the time somebody asks.
"""

import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

__all__ = ["GROUPS", "Interpreted"]

GROUPS = [
    "model",
    "selective_scan",
    "block bidirectional",
    "math simple step strides pieces add_rms_norm causal_conv1d",
]
"""Ops whose tests share a process: to start one takes as long as the quick ones do."""

_HERE = Path(__file__).parent


class Interpreted:
    """The groups' processes, one at a time, in the background."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._results: dict[str, Future[tuple[int, str]]] = {}

    def result(self, group: str) -> tuple[int, str]:
        """The exit status and the output of a group's tests."""
        return self.start(group).result()

    def start(self, group: str) -> "Future[tuple[int, str]]":
        """Begin with a group as soon as those before it are done."""
        if group not in self._results:
            self._results[group] = self._pool.submit(self._run, group)
        return self._results[group]

    def stop(self) -> None:
        """End what runs: nobody asks any more."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, group: str) -> tuple[int, str]:
        if self._stopped:
            return 1, "stopped"
        files = [str(_HERE / f"test_fused_{op}.py") for op in group.split()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files],
            env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _ = self._process.communicate()
        return self._process.returncode, output
