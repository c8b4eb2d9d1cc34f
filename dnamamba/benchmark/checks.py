"""What is refused before any long work."""

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dnamamba import arguments
from dnamamba.extras import library
from dnamamba.spelling import closest

if TYPE_CHECKING:
    from dnamamba.benchmark.columns import Protocol

__all__ = ["SETTINGS", "check_models", "check_protocols", "check_scikit_learn", "only_writer"]

SETTINGS = "benchmark.json"
"""Marks an output folder as a benchmark's; what was asked for."""

_LOCK = ".lock"
_PROTOCOLS: "tuple[Protocol, ...]" = ("frozen", "fine-tuned", "zero-shot")


def check_scikit_learn() -> None:
    """Raises ModuleNotFoundError, naming the extra, where scikit-learn is missing."""
    library("sklearn", "benchmark", "dnamamba benchmark (k-mers and frozen vectors)")


def check_protocols(protocols: Sequence[str]) -> "list[Protocol]":
    """Those asked for, each once.

    Raises:
        ValueError: an unknown one, or none.
    """
    for name in protocols:
        if name not in _PROTOCOLS:
            near = closest(name, _PROTOCOLS)
            meant = f"; did you mean {near}?" if near else f"; there are {', '.join(_PROTOCOLS)}"
            raise ValueError(f"there is no protocol {name!r}{meant}")
    if not protocols:
        raise ValueError(f"protocols must name one or more of {', '.join(_PROTOCOLS)}")
    return [name for name in _PROTOCOLS if name in protocols]


def check_models(models: Sequence[str]) -> list[str]:
    """Read every model; of those that are the same the first alone is kept, which is said.

    Raises:
        ValueError: none, one that does not load, one whose letters nobody knows, or one that was
            fine-tuned already: it may have seen what it is to be tested on.
    """
    from dnamamba.benchmark.jobs.models import identity
    from dnamamba.checkpoint.once import opened
    from dnamamba.model import LanguageModel

    if not models:
        raise ValueError("models must be given, one or more: --models MODEL [MODEL ...]")
    kept: dict[str, str] = {}  # digest of the weights -> as typed
    for model in models:
        read = opened(model)
        if not isinstance(read.model, LanguageModel):
            raise ValueError(
                f"models: {model} is a {type(read.model).__name__}, fine-tuned on labels that a "
                "task's test part may hold; name the model that it was started from"
            )
        try:
            _ = read.tokenizer.base_ids
        except ValueError as error:
            raise ValueError(f"models: {model}: {error}") from error
        first = kept.setdefault(identity(model).weights, model)
        if first != model:
            print(f"{model} is the same model as {first}, and has its columns", file=sys.stderr)
    return [*kept.values()]


@contextmanager
def only_writer(output: str) -> Iterator[Path]:
    """The output folder, which is this process's as long as the block lasts.

    Raises:
        ValueError: it holds other things than a benchmark, is no folder, or is being written.
        OSError: it cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = arguments.path("output", output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output {folder} is a file; name a folder, new or of a benchmark")
    others = [path for path in folder.iterdir() if path.name != _LOCK] if folder.is_dir() else []
    if others and not (folder / SETTINGS).is_file():
        raise ValueError(
            f"output {folder} holds other things than a benchmark (there is no {SETTINGS}); name "
            "a new folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"output {folder} is being written by another benchmark; wait until it has ended, or "
            "name another folder"
        ) from error
    except OSError as error:
        code = error.errno or errno.EIO
        raise OSError(code, f"output {folder} cannot be written: {error.strerror}") from error
    try:
        yield folder
    finally:
        lock.release()
