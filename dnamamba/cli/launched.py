"""A process that another one has started for a further device ends with it."""

import os
import threading
import time

__all__ = ["end_with_launcher"]

_LAUNCHER = "DNAMAMBA_LAUNCHER"
_SECONDS = 20.0  # in which an error of the lost connection, or a regular end, comes first


def end_with_launcher() -> None:
    """In any process of a run but the first: watch the one that has started it.

    What the first one was killed by the others do not hear: they may wait for it for ever, in an
    exchange between GPUs, or for a connection that nobody answers.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0":
        os.environ[_LAUNCHER] = str(os.getpid())
        return
    # Under torchrun it is another process than the first one, which has left no number.
    launcher = int(os.environ.get(_LAUNCHER, os.getppid()))
    threading.Thread(target=_watch, args=(launcher,), daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(1)
    time.sleep(_SECONDS)
    os._exit(1)
