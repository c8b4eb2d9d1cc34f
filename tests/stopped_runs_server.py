"""Carries out runs in forked processes and stops them where an order says; see stopped_runs.py."""

import contextlib
import errno
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lean_lightning  # noqa: F401
import torch
from pytorch_lightning.utilities import rank_zero_only

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


def work(order: dict[str, Any], rank: int = 0) -> int:
    """One run, in this process."""
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    stop = order.get("stop")
    if stop and stop["target"] and rank in of_ranks(stop, order["world"]):
        watch(stop)
    return main(order["arguments"])


def warm(order: dict[str, Any]) -> dict[str, Any]:
    """A run in this process: what is slow for the first time is done before others are forked."""
    with open(order["output"], "w") as output, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stderr(output))
        stack.enter_context(contextlib.redirect_stdout(output))
        return {"codes": [work(order)], "seconds": 0.0}


def start(order: dict[str, Any], rank: int, port: int) -> int:
    """Fork one process of a run; gives its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    with open(order["output"], "a" if rank else "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    if order["world"] > 1:
        os.environ.update(
            LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
        )
        rank_zero_only.rank = rank
    try:
        code = work(order, rank)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """The exit status of each process, -n for a signal n; seconds from the signal to the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world, stop = order["world"], order.get("stop")
    processes = {start(order, rank, port): rank for rank in range(world)}
    later = stop["after"] if stop and not stop["target"] else None
    codes, began, struck = [0] * world, time.monotonic(), None
    while processes:
        passed = time.monotonic() - began
        for pid, rank in list(processes.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[rank] = os.waitstatus_to_exitcode(status)
                del processes[pid]
            elif later is not None and passed > later and rank in of_ranks(stop, world):
                Path(stop["hit"]).touch()
                os.kill(pid, getattr(signal, f"SIG{stop['signal']}"))
            elif passed > DEADLINE:
                os.kill(pid, signal.SIGKILL)
        if later is not None and passed > later:
            later = None
        if stop and struck is None and Path(stop["hit"]).exists():
            struck = time.monotonic()
        time.sleep(0.005)
    return {"codes": codes, "seconds": time.monotonic() - (struck or began)}


def of_ranks(stop: dict[str, Any], world: int) -> list[int]:
    """The processes that a stop is for."""
    return list(range(world)) if stop["rank"] is None else [stop["rank"]]


if __name__ == "__main__":
    for number, line in enumerate(sys.stdin):
        order = json.loads(line)
        print(json.dumps(run(order) if number else warm(order)), flush=True)
