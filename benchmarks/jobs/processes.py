"""Commands in a process of their own, timed from its start to its end."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["JobError", "seconds_of"]

BENCHMARKS = Path(__file__).parents[1]
_MOST_SECONDS = 400  # several times what the slowest job took before anything was done
_SAID = 3_000  # characters of what a failed command said


class JobError(Exception):
    """A command failed, or its result is not that of the slow way."""


def seconds_of(module: str, words: Sequence[str]) -> float:
    """Seconds of ``python -m MODULE WORDS``; ``dnamamba`` so is the installed command.

    Raises:
        JobError: it failed or does not end; holds what it said.
    """
    root = BENCHMARKS.parent
    paths = (root, root / "kernels", BENCHMARKS)
    inherited = os.environ.get("PYTHONPATH")
    listed = [*([inherited] if inherited else []), *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(listed)}
    command = [sys.executable, "-m", module, *words]
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        try:
            status: int | str = subprocess.run(
                command, env=environment, stdout=said, stderr=said, timeout=_MOST_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            status = f"nothing after {_MOST_SECONDS} s"
        seconds = time.perf_counter() - began
        if status:
            said.seek(0)
            text = said.read().decode(errors="replace")[-_SAID:]
            raise JobError(f"{' '.join(command)} ended with {status}:\n{text}")
    return seconds
