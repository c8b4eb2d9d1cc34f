"""``dnamamba doctor``: what is installed, what works here, and what to do about what does not."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dnamamba.device import GPUS, usable_memory
from dnamamba.version import installed_version

if TYPE_CHECKING:
    import torch

__all__ = ["doctor"]

_LENGTH, _CHANNELS, _STATES = 37, 24, 16  # of the scan that is tried: no multiple of any block
_WITHIN = 1e-4  # relative, in fp32


class _Fact(NamedTuple):
    """A line: what, how it is, and what is to be mended, if anything."""

    name: str
    value: str
    remedy: str = ""


def doctor() -> None:
    """Say what is installed, try the kernels, and name what is amiss with its remedy.

    Prints versions, devices, folders, and for each way to compute the scan whether its outputs and
    gradients are right on this machine. Nothing is written. An issue report should hold all of it.
    """
    amiss = []
    for title, facts in (
        ("versions", _versions()),
        ("extras", _extras()),
        ("devices", _devices()),
        ("kernels", _kernels()),
        ("folders", _folders()),
    ):
        print(f"{title}:")
        for fact in facts:
            print(f"  {fact.name:20} {fact.value}", flush=True)
            amiss += [f"{fact.name}: {fact.remedy}"] if fact.remedy else []
    print("\nto mend:" if amiss else "\nnothing is amiss")
    for line in amiss:
        print(f"  {line}")


def _versions() -> Iterator[_Fact]:
    yield _Fact("dnamamba", installed_version())
    yield _Fact("python", f"{platform.python_version()} ({sys.executable})")
    yield _Fact("system", f"{platform.platform()}, {os.cpu_count()} cores")
    for name in ("torch", "triton", "pytorch-lightning", "torchmetrics", "numpy"):
        yield _Fact(name, _installed(name))


def _extras() -> Iterator[_Fact]:
    """Each extra of the package, and which of its libraries are there."""
    from packaging.requirements import Requirement

    try:
        needs = [Requirement(text) for text in requires("dnamamba") or ()]
    except PackageNotFoundError:
        yield _Fact("none known", "dnamamba runs from a source tree that is not installed")
        return
    of_extra: dict[str, list[str]] = {}
    for need in needs:
        if need.marker is not None and "extra ==" in (marker := str(need.marker)):
            extra = marker.partition("extra ==")[2].split("'" if "'" in marker else '"')[1]
            of_extra.setdefault(extra, []).append(need.name)
    for extra, names in of_extra.items():
        said = ", ".join(f"{name} {_installed(name)}" for name in names)
        missing = any(_installed(name) == "missing" for name in names)
        yield _Fact(extra, said + (f"  (pip install 'dnamamba[{extra}]')" if missing else ""))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _devices() -> Iterator[_Fact]:
    import torch

    from dnamamba.training.memory import readable_bytes

    memory = usable_memory(torch.device("cpu"))
    said = "" if memory is None else f", {readable_bytes(memory)}"
    yield _Fact("cpu", f"{torch.get_num_threads()} threads{said}")
    built = torch.version.cuda
    if not torch.cuda.is_available():
        there = any(gpu.exists() for gpu in GPUS)
        why = "PyTorch is built without CUDA" if built is None else "PyTorch finds no driver"
        remedy = f"{why}, and there is a GPU; install PyTorch as pytorch.org says for it"
        yield _Fact("cuda", f"none ({why})", remedy if there else "")
        return
    for number in range(torch.cuda.device_count()):
        device = torch.device("cuda", number)
        name, (major, minor) = (
            torch.cuda.get_device_name(device),
            torch.cuda.get_device_capability(device),
        )
        free, total = (readable_bytes(x) for x in torch.cuda.mem_get_info(device))
        half = "bfloat16" if (major, minor) >= (8, 0) else "no bfloat16"
        said = f"{name}, capability {major}.{minor}, {free} of {total} free, {half}"
        remedy = "" if (major, minor) >= (8, 0) else "too old for Triton; PyTorch's path is slow"
        yield _Fact(f"cuda:{number}", f"{said}, CUDA {built}", remedy)


def _kernels() -> Iterator[_Fact]:
    """The ways to compute the scan, each tried against the recurrence in double precision."""
    import torch

    from dnamamba_kernels.backend import choose

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for name in devices:
        device = torch.device(name)
        chosen = choose(None, device)
        for backend in dict.fromkeys((chosen, "torch")):
            yield _tried(device, backend, chosen)
    if "cuda" in devices and choose(None, torch.device("cuda")) != "triton":
        yield _Fact("triton", "is not used", "without it a GPU is slow; pip install triton")


def _tried(device: "torch.device", backend: str, chosen: str) -> _Fact:
    name = f"{backend} on {device}"
    try:
        error = _error(device, backend)
    except Exception as error_:
        return _Fact(name, f"fails: {error_}", "the kernel fails here; report it with this text")
    said = f"right to {error:.0e}" + (" (the one that is used)" if backend == chosen else "")
    wrong = not error < _WITHIN
    return _Fact(name, said, "results are wrong here; report it with this text" if wrong else "")


def _error(device: "torch.device", backend: str) -> float:
    """The largest error of outputs and gradients of a small scan, relative to the norm."""
    import torch

    from dnamamba_kernels import selective_scan

    draw = torch.Generator().manual_seed(0)
    along, state = (2, _LENGTH, _CHANNELS), (2, _LENGTH, _STATES)
    shapes = (along, along, (_CHANNELS, _STATES), state, state)  # u, Δ, A, B, C
    drawn = [torch.randn(shape, generator=draw) for shape in shapes]
    drawn[2] = -drawn[2].exp()

    def run(backend: str, to: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
        u, delta, A, B, C = given = [x.to(to, dtype).requires_grad_() for x in drawn]
        y, _ = selective_scan(u, delta, A, B, C, backend=backend)
        gradients = torch.autograd.grad(y.square().sum(), given)
        return [x.detach().to("cpu", torch.float64) for x in (y, *gradients)]

    expected = run("reference", torch.device("cpu"), torch.float64)
    pairs = zip(run(backend, device, torch.float32), expected, strict=True)
    return max(float((x - true).norm() / true.norm()) for x, true in pairs)


def _folders() -> Iterator[_Fact]:
    from dnamamba.checkpoint.packaged import packaged_names
    from dnamamba.data.genome.places import default_cache_dir
    from dnamamba.files import why_not_writable

    triton = Path(os.environ.get("TRITON_CACHE_DIR") or "~/.triton/cache").expanduser()
    for name, folder, variable in (
        ("cache", default_cache_dir(), "DNAMAMBA_CACHE"),
        ("compiled kernels", triton, "TRITON_CACHE_DIR"),
    ):
        why = why_not_writable(folder / "file")
        remedy = f"{folder} {why}; set ${variable} to another folder" if why else ""
        yield _Fact(name, f"{folder} ({'not writable' if why else 'writable'})", remedy)
    yield _Fact("models", ", ".join(packaged_names()) or "none")
