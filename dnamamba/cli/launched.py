"""Processes that others have started, of which each is to be part of one run."""

import os
import threading
import time

from dnamamba.cli.errors import UsageError

__all__ = ["check_launched", "end_with_launcher"]

_LAUNCHER = "DNAMAMBA_LAUNCHER"
_SECONDS = 20.0  # in which an error of the lost connection, or a regular end, comes first


def check_launched(world_size: int) -> None:
    """Refuse to be one of several processes of which each takes itself for the whole run.

    They would write to the same folder. Other numbers that do not agree Lightning refuses.

    Args:
        world_size: processes of the run, as the trainer has it.

    Raises:
        UsageError: torchrun or srun has started more than this one.
    """
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        count = os.environ.get(name, "")
        if world_size == 1 and count.isdecimal() and int(count) > 1:
            raise UsageError(
                f"{count} processes were started ({name} in the environment), but trainer.devices "
                f"x trainer.num_nodes is 1, and each would be a run of its own; set them so that "
                f"they make {count}, or start one process"
            )


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
