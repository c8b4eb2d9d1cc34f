"""Which implementation computes an op: Triton on a GPU that it serves, elsewhere PyTorch.

On a CPU numba, where it is installed, compiles what it is faster at; PyTorch does the rest.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch
from torch import Tensor

from dnamamba_kernels.operators import differentiable

__all__ = ["BACKENDS", "choose", "fuses_step", "use"]

BACKENDS = ("triton", "numba", "torch", "reference")

log = logging.getLogger(__name__)

_OLDEST_TRITON = (3, 4)  # earlier ones do not compile how tiles change layout

# The name that stands for None in a call; "" leaves the choice to the device.
_default = os.environ.get("DNAMAMBA_BACKEND", "")


@contextmanager
def use(name: str) -> Iterator[None]:
    """Within this block, ops called without ``backend=`` run on ``name``.

    The environment variable ``DNAMAMBA_BACKEND`` sets the same default for a whole process.

    Raises:
        ValueError: ``name`` is not one of ``BACKENDS``.
    """
    global _default
    before, _default = _default, _known(name)
    try:
        yield
    finally:
        _default = before


def choose(name: str | None, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The backend for one call on ``device``: the caller's, else the default's, else the device's.

    Compiled kernels accumulate in fp32: of fp64 PyTorch takes care in their place.

    Raises:
        ValueError: the name is unknown, or names Triton or numba where that cannot run.
    """
    name = name or _default
    if not name:
        name = _automatic(device)
    elif _known(name) in _REFUSALS and (reason := _REFUSALS[name](device)):
        raise ValueError(f'backend "{name}" cannot run here: {reason}; use backend="torch"')
    return "torch" if name in _REFUSALS and dtype == torch.float64 else name


# torch.compile takes the choice as a constant and does not look inside: what
# torch.compiler.assume_constant_result does, without importing torch._dynamo (1 s) here.
choose._dynamo_marked_constant = True  # type: ignore[attr-defined]


def fuses_step(name: str | None, state: Tensor, *others: Tensor | None) -> bool:
    """Whether one position runs on Triton: where ``choose`` says so and no gradient is asked.

    The recurrent step is for decoding; a gradient through it is PyTorch's.
    """
    on_triton = choose(name, state.device, state.dtype) == "triton"
    return on_triton and not differentiable(state, *others)


def _known(name: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)} or None, got {name!r}")
    return name


@cache
def _automatic(device: torch.device) -> str:
    # Triton's interpreter, on the CPU, is there for tests that name it.
    compiled = "numba" if device.type == "cpu" else "triton"
    reason = _REFUSALS[compiled](device)
    name = "torch" if reason else compiled
    log.info("%s: ops run on the %s backend%s", device, name, f" ({reason})" if reason else "")
    return name


@cache
def _triton_version() -> str:
    """Empty if Triton is not installed."""
    if find_spec("triton") is None:
        return ""
    try:
        return version("triton")  # without importing it, which takes a second
    except PackageNotFoundError:  # installed under another name, as beside a nightly torch
        return str(import_module("triton").__version__)


def _triton_refuses(device: torch.device) -> str:
    """Why Triton cannot serve ``device``; empty if it can."""
    if not (installed := _triton_version()):
        return "triton is not installed"
    if tuple(map(int, installed.split(".")[:2])) < _OLDEST_TRITON:
        return "triton {}.{} is the oldest that will do, {} is installed".format(
            *_OLDEST_TRITON, installed
        )
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability < (8, 0):
            return "triton needs compute capability 8.0, this GPU has {}.{}".format(*capability)
        return ""
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1":
        return ""
    return f"triton needs a CUDA device, the tensors are on {device}"


@cache
def _numba_missing() -> str:
    """Why numba cannot be imported; empty if it can."""
    try:
        import_module("numba")
    except ModuleNotFoundError:
        return "numba is not installed (pip install 'dnamamba[cpu]')"
    except ImportError as error:  # as beside a NumPy that is newer than it knows
        return f"numba cannot be imported ({error})"
    return ""


def _numba_refuses(device: torch.device) -> str:
    """Why numba cannot serve ``device``; empty if it can."""
    if device.type != "cpu":
        return f"numba needs the CPU, the tensors are on {device}"
    return _numba_missing()


_REFUSALS = {"triton": _triton_refuses, "numba": _numba_refuses}
