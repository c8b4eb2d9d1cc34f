"""Carries out runs in forked processes and stops them where an order says; see stopped_runs.py."""

import contextlib
import errno
import importlib
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import dnamamba.cli.training
import dnamamba.data.modules
import dnamamba.training.finetune  # noqa: F401 (imported once for all processes)
from dnamamba.cli import main

ROOT = Path(__file__).parents[1]
DEADLINE = 120.0


def strike(stop: dict[str, Any]) -> None:
    """Do to this process what the order says; a signal that is only noted returns."""
    Path(stop["hit"]).touch()
    if stop["signal"] == "exception":
        raise RuntimeError("on purpose")
    if stop["signal"] == "ENOSPC":
        raise OSError(errno.ENOSPC, "No space left on device")
    os.kill(os.getpid(), getattr(signal, f"SIG{stop['signal']}"))


def watch(stop: dict[str, Any]) -> None:
    """Replace the moment's function by one that strikes at the right call."""
    module, _, path = stop["target"].partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    how, calls = stop["how"], 0

    def watched(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        of_half = how.startswith("half of ")
        if of_half and how.removeprefix("half of ") not in str(getattr(args[1], "name", "")):
            return original(*args, **kwargs)
        calls += 1
        now = calls == stop["occurrence"]
        if now and of_half:
            args[1].write(b"half")
            args[1].flush()
            strike(stop)
            args[1].seek(0)
        elif now and how == "half a line":
            _half_a_line(args[0].path, stop)
        elif now and how == "before":
            strike(stop)
        result = original(*args, **kwargs)
        if now and how == "after":
            strike(stop)
        return result

    setattr(owner, name, watched)


def _half_a_line(path: Path, stop: dict[str, Any]) -> None:
    size = path.stat().st_size if path.exists() else 0
    with path.open("a") as file:
        file.write("3,0.1")
    strike(stop)
    os.truncate(path, size)


def work(order: dict[str, Any]) -> int:
    """One run, in this process."""
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    stop = order.get("stop")
    if stop and stop["target"]:
        watch(stop)
    return main(order["arguments"])


def warm(order: dict[str, Any]) -> int:
    """A run in this process: what is slow for the first time is done before others are forked."""
    with open(order["output"], "w") as output, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stderr(output))
        stack.enter_context(contextlib.redirect_stdout(output))
        return work(order)


def run(order: dict[str, Any]) -> int:
    """The exit status of a run; -n for a signal n."""
    pid = os.fork()
    if not pid:
        code = 1
        with open(order["output"], "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        try:
            code = work(order)
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    stop = order.get("stop")
    later = stop["after"] if stop and not stop["target"] else None
    began = time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        passed = time.monotonic() - began
        if done:
            return os.waitstatus_to_exitcode(status)
        if later is not None and passed > later:
            Path(stop["hit"]).touch()
            os.kill(pid, getattr(signal, f"SIG{stop['signal']}"))
            later = None
        if passed > DEADLINE:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


if __name__ == "__main__":
    for number, line in enumerate(sys.stdin):
        order = json.loads(line)
        print(json.dumps(run(order) if number else warm(order)), flush=True)
