"""The command as a process of its own: what begins before its work, and what its end leaves out."""

import atexit
import ctypes
import os
import sys
from contextlib import suppress
from threading import Thread
from typing import NoReturn

from dnamamba.cli import main
from dnamamba.cli.imports import GPUS

__all__ = ["program"]


def program() -> NoReturn:
    """Run the command line, and end with its status."""
    if any(gpu.exists() for gpu in GPUS):
        Thread(target=_wake_gpu, daemon=True).start()
    status = main()
    # Lightning may have workers and connections that want to be closed.
    if status == 0 and "pytorch_lightning" not in sys.modules:
        _end()
    sys.exit(status)


def _wake_gpu() -> None:
    """Have the driver find the GPUs while PyTorch is imported; it takes no memory on any."""
    with suppress(OSError):
        ctypes.CDLL("libcuda.so.1").cuInit(0)


def _end() -> None:
    """End the process without taking apart, object by object, what PyTorch has made.

    All files are closed; what was to happen at the end happens. It is a seventh of a short
    command.
    """
    with suppress(BrokenPipeError):  # sys.exit has a word for it
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)
