"""Imports at the start of a command, without the garbage collector.

It would look through the many objects of PyTorch and Lightning again and again while they are
made, and once more when the process ends: a third of the time that the imports take.
"""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from types import ModuleType

from dnamamba.device import GPUS

__all__ = ["collector_at_rest", "hash_triton", "import_module"]


def import_module(name: str) -> ModuleType:
    """As importlib's; but what the module has made is never looked at again.

    Only a first import stops the collector and sets aside what there is: later, garbage would be
    among it.
    """
    if name in sys.modules:
        return importlib.import_module(name)
    with collector_at_rest():
        return importlib.import_module(name)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Within this block nothing is looked at, and what it has made never again."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def hash_triton() -> None:
    """Where there is a GPU, take the hash of Triton's own files on a thread.

    It is part of the name by which each compiled kernel is looked up, and takes half a second, in
    which PyTorch can be imported.
    """
    if any(gpu.exists() for gpu in GPUS):
        Thread(target=_hash_triton, daemon=True).start()


def _hash_triton() -> None:
    with suppress(Exception):  # as it is not there, or has moved on
        for home in ("triton.runtime.cache", "triton.compiler.compiler"):
            if key := getattr(importlib.import_module(home), "triton_key", None):
                key()
                return
