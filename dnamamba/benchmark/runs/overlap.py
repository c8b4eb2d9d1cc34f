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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from dnamamba.benchmark.runs.workers import gpus_of

__all__ = ["overlapping"]

_CONTROL = "nvidia-cuda-mps-control"
_PIPES = "CUDA_MPS_PIPE_DIRECTORY"
_LOGS = "CUDA_MPS_LOG_DIRECTORY"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_USUAL = Path("/tmp/nvidia-mps")  # where all look for a server if nothing is said
_SECONDS = 60.0  # for each of the server's steps; on one GPU they take one
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

# Whether a process that finds the server can use a GPU. A server that is not allowed to do what
# it must (in some containers) is only seen so, and would take the GPU from all its clients.
_CLIENT = """
import ctypes, sys
cuda, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
sys.exit(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), int(sys.argv[1])))
"""


@contextmanager
def overlapping(device: str, processes: int) -> Iterator[dict[str, str]]:
    """A server for so many processes, which ends with this process at the latest.

    Gives what their environment must hold before they wake the GPU: nothing where they could not
    use it (said on standard error), where somebody has begun one already, by which they go then, or
    where there is none.

    Args:
        device: as ``best_device`` gives it.
        processes: that use it side by side.
    """
    control = shutil.which(_CONTROL) if device.startswith("cuda") and processes > 1 else None
    if control is None or _is_there(control):
        yield {}
        return
    # Short: a socket's path has a limit.
    short = "/tmp" if os.access("/tmp", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="dnamamba-mps-", dir=short))
    found = {_PIPES: str(folder), _LOGS: str(folder)}
    # Clients count GPUs among those that the server sees: it sees all, so they mean what they say.
    environment = {k: v for k, v in os.environ.items() if k != _VISIBLE} | found
    server = None
    try:
        server = _started(control, environment)
        works = server is not None and _listens(server, folder) and _serves(device, found)
        if not works:
            print(
                f"{_CONTROL} is there but does not work: runs take turns on the GPU",
                file=sys.stderr,
            )
        yield found if works else {}
    finally:
        if server is not None:
            _end(control, server, environment)
        shutil.rmtree(folder, ignore_errors=True)


def _is_there(control: str) -> bool:
    """Whether processes go by somebody else's server as it is."""
    if _PIPES in os.environ:
        return True
    # Of one that is dead the socket may be left.
    return (_USUAL / "control").exists() and _status([control], {}, b"get_server_list\n") == 0


def _started(control: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes] | None":
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.Popen(
            [control, "-f"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which ends it then
            preexec_fn=partial(_die_with, os.getpid()),
        )
    return None


def _die_with(parent: int) -> None:
    """In the child: end when the parent does, if it has not already."""
    if _LIBC is not None:
        _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def _listens(server: "subprocess.Popen[bytes]", folder: Path) -> bool:
    """Whether it comes to take clients."""
    end = time.monotonic() + _SECONDS
    while not (folder / "control").exists():
        if server.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _serves(device: str, found: Mapping[str, str]) -> bool:
    """Whether its clients can use each of the GPUs, called as workers call them."""
    number = device.partition(":")[2] or "0"
    each = [{_VISIBLE: gpu} for gpu in gpus_of(device)] or [{}]
    client = [sys.executable, "-c", _CLIENT, number]
    with ThreadPoolExecutor() as pool:
        ends = [pool.submit(_status, client, {**found, **gpu}) for gpu in each]
    return all(end.result() == 0 for end in ends)


def _end(control: str, server: "subprocess.Popen[bytes]", environment: Mapping[str, str]) -> None:
    _status([control], environment, b"quit\n")
    with suppress(subprocess.TimeoutExpired):
        server.wait(_SECONDS)
    with suppress(OSError):  # with it what it has begun itself; mostly all are gone
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _status(command: list[str], changes: Mapping[str, str], said: bytes = b"") -> int | None:
    """The status with which it ends; None where it does not, or does not begin."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            command,
            env={**os.environ, **changes},
            input=said,
            timeout=_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode
    return None
