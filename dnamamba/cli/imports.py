"""Imports at the start of a command, without the garbage collector.

It would look through the many objects of PyTorch and Lightning again and again while they are
made, and once more when the process ends: a third of the time that the imports take.
"""

import gc
import sys
from importlib import import_module
from types import ModuleType

__all__ = ["import_uncollected"]


def import_uncollected(name: str) -> ModuleType:
    """Import a module; what it has made is never looked at again.

    Only the first import stops the collector and sets aside what there is: later, garbage would
    be among it.
    """
    if name in sys.modules or not gc.isenabled():
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
