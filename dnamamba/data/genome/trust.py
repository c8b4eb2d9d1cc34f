"""Whose files may be believed in a folder that others can write in."""

import os
import tempfile
from pathlib import Path

__all__ = ["is_trusted"]

_ROOT = 0


def is_trusted(file: Path | int, folder: Path) -> bool:
    """Whether a file (a path or an open descriptor) of a folder is the user's own or root's.

    Where the filesystem gives every file to one owner (a network mount that maps users), that
    owner stands for the user.
    """
    try:
        owner = os.stat(file).st_uid
    except OSError:
        return True  # nobody's; whoever opens it will say what is wrong
    return owner in (os.geteuid(), _ROOT) or owner == _owner_of_new_files(folder)


def _owner_of_new_files(folder: Path) -> int | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_uid
    except OSError:  # it may be read-only
        return None
