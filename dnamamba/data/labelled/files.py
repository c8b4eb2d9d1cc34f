"""The files of a set of labelled sequences, as a user names them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnamamba.arguments import each_once, path_text, path_texts

__all__ = ["Files", "as_files", "listed_files"]

Files = str | list[str] | dict[str, str]
"""A table or FASTA, several of them, or class -> FASTA."""


def as_files(name: str, value: Any) -> Files:
    """What a user names files by, as text.

    Raises:
        ValueError: neither a path, nor a list of paths, nor class -> path; names the item.
    """
    if isinstance(value, Mapping):
        # YAML reads an unquoted 0 as a number.
        return {str(key): path_text(f"{name}[{key!r}]", item) for key, item in value.items()}
    return path_texts(name, value)


def listed_files(files: Files) -> list[tuple[Path, str | None]]:
    """Every file, and the class that it is of, if one is named.

    Raises:
        ValueError: see ``as_files``; or a file that is listed twice.
    """
    files = as_files("data.files", files)
    if isinstance(files, dict):
        listed: list[tuple[Path, str | None]] = [(Path(p), name) for name, p in files.items()]
    else:
        listed = [(Path(p), None) for p in ([files] if isinstance(files, str) else files)]
    each_once("data.files", [path for path, _ in listed])
    return listed
