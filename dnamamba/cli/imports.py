"""Imports at the start of a command, without the garbage collector.

It would look through the many objects of PyTorch and Lightning again and again while they are
made, and once more when the process ends: a third of the time that the imports take.
"""

import gc
import importlib
import sys
from types import ModuleType

__all__ = ["import_module"]


def import_module(name: str) -> ModuleType:
    """As importlib's; but what the module has made is never looked at again.

    Only a first import stops the collector and sets aside what there is: later, garbage would be
    among it.
    """
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
