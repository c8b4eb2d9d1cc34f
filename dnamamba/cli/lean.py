"""Lightning without what it imports on behalf of others, which is most of what a start takes.

It asks for one class of torch._dynamo, to recognise a compiled module by, and for two classes of
torchmetrics, whose package imports every metric there is, and with them transformers, scipy and
more where those are installed. Whoever uses the rest gets it, a moment later.
"""

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

__all__ = ["import_lightning"]

_DYNAMO = "torch._dynamo"
_PACKAGES = ("torchmetrics", "torchmetrics.functional")
_HOMES = {
    "Metric": "torchmetrics.metric",
    "MetricCollection": "torchmetrics.collections",
    "__version__": "torchmetrics.__about__",
}
_FIRST = "torchmetrics.utilities"  # it and torchmetrics.metric need each other, begun here


def import_lightning() -> None:
    """Import pytorch_lightning, if that has not happened."""
    if "pytorch_lightning" in sys.modules:
        return
    for name in _PACKAGES:
        _defer(name)
    with _without_dynamo():
        importlib.import_module("pytorch_lightning")


class _Deferred(ModuleType):
    """A package whose own code runs when something is asked for that lies elsewhere than known."""

    def __getattr__(self, name: str) -> Any:
        importlib.import_module(_FIRST)
        if home := _HOMES.get(name):
            return getattr(importlib.import_module(home), name)
        submodule = f"{self.__name__}.{name}"
        if not name.startswith("_") and find_spec(submodule) is not None:
            return importlib.import_module(submodule)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _defer(name: str) -> None:
    parent = sys.modules.get(name.rpartition(".")[0])
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:
        return
    module = module_from_spec(spec)
    vars(module)["_logger"] = logging.getLogger(name)  # the one of its own that its modules need
    module.__class__ = _Deferred
    sys.modules[name] = module
    if parent is not None:
        setattr(parent, name.rpartition(".")[2], module)


class _IsCompiled(type):
    def __instancecheck__(cls, instance: object) -> bool:
        # What torch.compile has made there is, if ever, once it has been imported.
        dynamo = sys.modules.get(f"{_DYNAMO}.eval_frame")
        return dynamo is not None and isinstance(instance, dynamo.OptimizedModule)


class OptimizedModule(metaclass=_IsCompiled):
    """Has as instances those of torch._dynamo's class of this name."""


def _as_it_is(function: Any, *_: Any, **__: Any) -> Any:
    return function


@contextmanager
def _without_dynamo() -> Iterator[None]:
    """Within this block torch._dynamo is one class, and keeps nothing out of the compiler."""
    if _DYNAMO in sys.modules:
        yield
        return
    stand_in = ModuleType(_DYNAMO)
    vars(stand_in).update(OptimizedModule=OptimizedModule, disable=_as_it_is)
    sys.modules[_DYNAMO] = stand_in
    try:
        yield
    finally:
        del sys.modules[_DYNAMO]
