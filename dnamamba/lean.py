"""Lightning without what it imports on behalf of others, which is most of what a start takes.

It asks for one class of torch._dynamo, to recognise a compiled module by, and for two classes of
torchmetrics, whose package imports every metric there is, and with them transformers, scipy and
more where those are installed, and matplotlib. Whoever uses the rest gets it, a moment later.
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
_PLOTS = "torchmetrics.utilities.plot"
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
    # What keeps a function out of the compiler leaves it as it is; a plot's types are annotations.
    compiler = _stand_in(_DYNAMO, OptimizedModule=OptimizedModule, disable=_as_it_is)
    plots = _stand_in(_PLOTS, _AX_TYPE=Any, _PLOT_OUT_TYPE=Any, plot_single_or_multi_val=_plot)
    with compiler, plots:
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


def _plot(*args: Any, **kwargs: Any) -> Any:
    return importlib.import_module(_PLOTS).plot_single_or_multi_val(*args, **kwargs)


class _StandIn(ModuleType):
    """Gives way to the module of its name when it is asked for more than it has."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _stand_in(name: str, **contents: Any) -> Iterator[None]:
    """Within this block a module is no more than ``contents``, unless it has been imported."""
    if name in sys.modules:
        yield
        return
    module = _StandIn(name)
    vars(module).update(contents)
    sys.modules[name] = module
    try:
        yield
    finally:
        if sys.modules.get(name) is module:
            del sys.modules[name]
