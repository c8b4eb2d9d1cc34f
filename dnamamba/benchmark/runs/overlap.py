"""Kernels of several processes at the same time on a GPU, by NVIDIA's Multi-Process Service.

Without it processes take turns: while one's short kernel runs, most of the GPU has nothing to do.
Eight runs side by side that fine-tune a model of 4 x 256 on sequences of 70 to 101 bases make 579
steps a second of 32 rows with it and 250 without; of 128 rows 285 and 183 (one H200).
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["overlapping"]

_CONTROL = "nvidia-cuda-mps-control"
_PIPES = "CUDA_MPS_PIPE_DIRECTORY"
_LOGS = "CUDA_MPS_LOG_DIRECTORY"
_USUAL = Path("/tmp/nvidia-mps")  # where all look for a server if nothing is said
_SECONDS = 20.0  # for each of the server's steps; they take one
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

# Whether a process that finds the server can use a GPU. A server that is not allowed to do what
# it must (in some containers) is only seen so, and would take the GPU from all its clients.
_CLIENT = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
sys.exit(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), 0))
"""


@contextmanager
def overlapping(device: str, processes: int) -> Iterator[dict[str, str]]:
    """A server for so many processes, which ends with this process at the latest.

    Gives what their environment must hold before they wake the GPU: nothing where they could not
    use it, where somebody has begun one already, by which they go then, or where there is none.

    Args:
        device: as ``best_device`` gives it.
        processes: that use it side by side.
    """
    control = shutil.which(_CONTROL) if device.startswith("cuda") and processes > 1 else None
    if control is None or _PIPES in os.environ or (_USUAL / "control").exists():
        yield {}
        return
    folder = Path(tempfile.mkdtemp(prefix="dnamamba-mps-"))  # short: a socket's path has a limit
    found = {_PIPES: str(folder), _LOGS: str(folder)}
    # Clients count GPUs among those that the server sees: it sees all, so they mean what they say.
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"} | found
    server = _started(control, environment)
    try:
        yield found if server and _answers(server, environment) else {}
    finally:
        if server:
            _end(control, server, environment)
        shutil.rmtree(folder, ignore_errors=True)


def _started(control: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes] | None":
    with suppress(OSError):
        return subprocess.Popen(
            [control, "-f"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which ends it then
            preexec_fn=_die_with_parent,
        )
    return None


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _answers(server: "subprocess.Popen[bytes]", environment: Mapping[str, str]) -> bool:
    """Whether a client of it can use a GPU."""
    end = time.monotonic() + _SECONDS
    while not Path(environment[_PIPES], "control").exists():
        if server.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.01)
    return _status([sys.executable, "-c", _CLIENT], environment) == 0


def _end(control: str, server: "subprocess.Popen[bytes]", environment: Mapping[str, str]) -> None:
    _status([control], environment, b"quit\n")
    try:
        server.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _status(command: list[str], environment: Mapping[str, str], said: bytes = b"") -> int | None:
    """The status with which it ends; None where it does not, or does not begin."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            command,
            env=environment,
            input=said,
            timeout=_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode
    return None
