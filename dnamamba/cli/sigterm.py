"""A dry run that is stopped: what it has in the temporary folder goes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any, NoReturn

__all__ = ["SIGTERM_STATUS", "unwound_by_sigterm"]

SIGTERM_STATUS = 143
"""The exit status of what SIGTERM has ended."""


@contextmanager
def unwound_by_sigterm() -> Iterator[None]:
    """Within this block SIGTERM ends the command as an error does, block by block.

    As Python leaves it, the signal ends the process at once, and the caches of genomes that were
    to be gone at the end, a byte a base, stay.
    """
    if current_thread() is not main_thread():  # which alone may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(*_: Any) -> NoReturn:
    raise SystemExit(SIGTERM_STATUS)
