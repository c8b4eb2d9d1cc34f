"""The command as a process of its own: what begins before its work, and what its end leaves out."""

import atexit
import ctypes
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import NoReturn

from dnamamba.cli import main
from dnamamba.cli.commands import COMMANDS
from dnamamba.device import GPUS

__all__ = ["program"]


def program() -> NoReturn:
    """Run the command line, and end with its status."""
    if any(gpu.exists() for gpu in GPUS):
        Thread(target=_wake_gpu, args=(_takes_first_gpu(sys.argv[1:]),), daemon=True).start()
    status = main()
    # Lightning may have workers and connections that want to be closed.
    if status == 0 and "pytorch_lightning" not in sys.modules:
        _end()
    sys.exit(status)


def _takes_first_gpu(arguments: Sequence[str]) -> bool:
    """Whether a model is to be used, alone, and where is left to the command: on the first GPU."""
    command, *rest = arguments or [""]
    said = any(word.startswith(("--device", "-h", "--help")) for word in rest)
    used = command in COMMANDS and bool(rest) and not rest[0].startswith("-")
    on_device = used and COMMANDS[command].on_device
    return on_device and not said and "RANK" not in os.environ


def _wake_gpu(first: bool) -> None:
    """While PyTorch is imported have the driver find the GPUs, and make ready the first."""
    with suppress(OSError):
        cuda = ctypes.CDLL("libcuda.so.1")
        if cuda.cuInit(0) == 0 and first:
            cuda.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), 0)


def _end() -> None:
    """End the process without taking apart, object by object, what PyTorch has made.

    All files are closed; what was to happen at the end happens. It is a seventh of a short
    command.
    """
    with suppress(OSError):  # a closed pipe, a full disk: sys.exit has a word for it
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed before the start
                stream.flush()
        os._exit(0)
