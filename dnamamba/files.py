"""Files that are whole or not there."""

import errno
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = ["Opened", "replacing", "replacing_together", "sync_folder", "why_not_writable"]

Opened = Callable[[str | Path], AbstractContextManager[IO[bytes]]]
"""How a function that writes opens its file: ``replacing``, or as ``replacing_together`` yields."""

_DAY = 24 * 3600.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def why_not_writable(target: Path) -> str:
    """What stands in the way of a file, as far as can be seen before it is written; or nothing.

    Returns:
        What follows the file's name in a sentence, with a remedy; empty if nothing is seen.
    """
    if target.is_dir():
        return "is a folder; name a file in it"
    if target.exists() and not target.is_file():
        return "is no regular file, but a device or a pipe; name a file"
    folder = next(path for path in target.absolute().parents if path.exists())
    if not folder.is_dir():
        return f"cannot be written, {folder} is no folder; name a file elsewhere"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be written, {folder} is read-only to you; name a file elsewhere"
    return ""


@contextmanager
def replacing(target: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes the place of ``target`` when the block ends.

    At every moment, a power cut included, ``target`` is the whole old file or the whole new
    one: the bytes go to a hidden file in the same folder (so that the last move cannot cross
    filesystems), are synced, and are moved in one step. If the block or the writing fails,
    the hidden file is removed; one left by a killed process is swept by the next call for the
    same ``target``. Missing parent folders are made.

    Raises:
        OSError: the folder cannot be written, or the disk is full (``errno.ENOSPC``); names
            ``target`` and the free space, and says that the old file is intact.
    """
    with replacing_together() as opened, opened(target) as file:
        yield file


@contextmanager
def replacing_together() -> Iterator[Opened]:
    """Open several files for writing that take the places of their targets together.

    Yields a function that opens one as ``replacing`` does; what it wrote waits, complete and
    synced, until the block ends. If anything in the block fails, a full disk say, or one of the
    last moves, every target is what it was before. (Only a kill between two of these moves, which
    write nothing, can leave some of the new files beside some of the old.)

    Raises:
        OSError: see ``replacing``.
    """
    waiting: list[tuple[Path, Path]] = []

    @contextmanager
    def opened(target: str | Path) -> Iterator[IO[bytes]]:
        with _written(Path(target)) as (file, temporary):
            yield file
        waiting.append((temporary, Path(target)))

    try:
        yield opened
        _move(waiting)
        for folder in {target.parent for _, target in waiting}:
            sync_folder(folder)
    except BaseException:
        for temporary, _ in waiting:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def _move(waiting: list[tuple[Path, Path]]) -> None:
    """Each to its target; or, where one cannot, none."""
    backups: list[Path | None] = []
    moved = 0
    try:
        for _, target in waiting[:-1]:
            backups.append(_backup(target))  # nothing comes after the last
        for temporary, target in waiting:
            try:
                temporary.replace(target)
            except OSError as error:
                raise _explained(error, target) from error
            moved += 1
    except BaseException:
        for (_, target), backup in list(zip(waiting, backups, strict=False))[:moved]:
            with suppress(OSError):
                target.unlink() if backup is None else backup.replace(target)
        raise
    finally:
        for backup in backups:
            if backup is not None:
                with suppress(OSError):
                    backup.unlink(missing_ok=True)


def _backup(target: Path) -> Path | None:
    """Another name for the file that stands there; None if none does."""
    backup = _hidden(target)
    try:
        os.link(target, backup)
    except FileNotFoundError:
        return None
    except OSError:  # a filesystem without hard links
        shutil.copyfile(target, backup)
    return backup


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.{_owner()}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def _written(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A hidden file beside the target, and its name; whole and synced when the block ends well."""
    temporary = _hidden(target)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        with temporary.open("xb") as file:
            yield file, temporary
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        cause = _cause(error, temporary)
        if cause is None:
            raise
        raise _explained(cause, target) from error


def _owner() -> str:
    return f"{socket.gethostname()}.{os.getpid()}"


def _sweep(target: Path) -> None:
    """Remove what processes that are gone have left: dead here, or a day old anywhere."""
    for path in target.parent.glob(f".{target.name}.*.tmp"):
        host, _, pid = path.name.removeprefix(f".{target.name}.").rsplit(".", 2)[0].rpartition(".")
        with suppress(OSError):
            dead = host == socket.gethostname() and pid.isdigit() and not _alive(int(pid))
            if dead or time.time() - path.stat().st_mtime > _DAY:
                path.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it lives
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: BaseException | None, temporary: Path) -> OSError | None:
    """The system's error if writing ``temporary`` is what failed, not something in the block.

    torch buries the system's error under a RuntimeError of its own.
    """
    if isinstance(error, OSError):
        ours = error.filename is None or Path(error.filename) in (temporary, *temporary.parents)
        return error if ours or error.errno in _FULL else None
    while isinstance(error, RuntimeError):
        below = error.__cause__ or error.__context__
        if isinstance(below, OSError) and below.errno in _FULL:
            return below
        error = below
    return None


def _explained(error: OSError, target: Path) -> OSError:
    if error.errno in _FULL:
        free = shutil.disk_usage(target.parent).free / 2**20
        state = "the file that was there is intact" if target.exists() else "nothing was left"
        return OSError(
            errno.ENOSPC,
            f"no room to write {target} ({error.strerror}; {free:,.0f} MiB free on its disk); "
            f"{state}. Free some space or write elsewhere",
        )
    return OSError(error.errno, f"cannot write {target}: {error.strerror or error}")
