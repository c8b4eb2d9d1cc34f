"""One run folder, one writer."""

import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["check_free", "only_writer"]


@contextmanager
def only_writer(folder: str | Path) -> Iterator[None]:
    """Hold the lock of a run's folder while the block runs; the folder is made if need be.

    The system takes the lock away when the process ends, however it ends. It is one of the
    process, not of the open file (as ``flock`` and filelock have it): processes that read data
    ahead would inherit that, and outlive a killed run by seconds.

    Where the filesystem knows no locks, a warning says so.

    Raises:
        ValueError: another process writes there; names it.
        OSError: the folder cannot be written.
    """
    path = Path(folder) / ".lock"
    made = not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write the run's folder {path.parent} ({error.strerror}); name another with "
            "--run_dir",
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is released: what another then locks is its own
        os.close(descriptor)
        if made:
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def check_free(folder: str | Path) -> None:
    """Refuse a run's folder that ``only_writer`` would refuse now; nothing is written there.

    Raises:
        ValueError: another process writes there; names it.
    """
    with suppress(OSError):  # no run is there, or its folder is another user's
        os.close(_locked(Path(folder) / ".lock", os.O_RDWR))


def _locked(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not isinstance(error, BlockingIOError | PermissionError):
                warnings.warn(
                    f"{path} cannot be locked ({error.strerror}): make sure that no other run "
                    "writes there",
                    stacklevel=2,
                )
                return descriptor
            owner = os.read(descriptor, 200).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise ValueError(
                f"{path.parent} is being written by another run ({owner}). Wait until it has "
                "ended, stop it, or name another folder with --run_dir"
            ) from error
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # the one before has removed its file in between
