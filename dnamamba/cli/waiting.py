"""How the threads of an operation wait for each other, while PyTorch is not imported yet."""

import os
from collections.abc import MutableMapping

__all__ = ["wait_asleep"]

_POLICY = "OMP_WAIT_POLICY"
_CHOSEN = (_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def wait_asleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep while they wait, unless the environment says how they do.

    By default they ask again and again. On cores that have other work they then keep from
    computing the very thread they wait for, and small operations take several times as long; on
    idle cores a training step of a small model takes twice the CPU time, and no less time.
    """
    if not any(name in environment for name in _CHOSEN):
        environment[_POLICY] = "PASSIVE"
