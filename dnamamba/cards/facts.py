"""What a card tells, before it is a page: a model, its data, how it was made, how good it is."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dnamamba.cards.settings import CardSettings
from dnamamba.checkpoint.description import CONFIG, read_json
from dnamamba.checkpoint.packaged import packaged_folder
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.model.about import About

__all__ = ["Base", "DataFile", "Facts", "base_of", "data_file", "public_name", "stamp"]

Stamp = tuple[int, int, int, int]

_LONGEST = 1 << 16  # characters of a base model's card that go along


class DataFile(NamedTuple):
    """A file that a model was made from.

    Attributes:
        part: what it was read for, as ``genome`` or ``train``.
        name: as the card calls it: never where on a machine it lay.
        size: bytes; None where it is gone or was changed.
        sha256: of the file as it lies there, in hexadecimal; None likewise.
        holds: what is in it, as ``5,386 bases in 1 contig``.
    """

    part: str
    name: str
    size: int | None
    sha256: str | None
    holds: str = ""


class Base(NamedTuple):
    """The model that a fine-tuned one started from.

    Attributes:
        name: as the user named it, without where on a machine it lay.
        sha256: of its weights; None where it does not say.
        card: its own card; empty where it has none.
    """

    name: str
    sha256: str | None = None
    card: str = ""


@dataclass(frozen=True)
class Facts:
    """All that a card tells.

    Attributes:
        name: of the model.
        about: its family, sizes and labels.
        settings: what no run knows.
        files: what it was made from.
        parts: a line a part of the data: how much there is of it.
        recipe: the settings that matter, in plain JSON types.
        length: most bases that training gave it at once; None where nobody knows.
        figures: metric -> value on held-out data.
        figures_of: what these are of, as ``validation, step 300``.
        course: what there is to say of the run, as steps -> ``300 of 400``.
        base: the model that it started from.
    """

    name: str
    about: About
    settings: CardSettings = field(default_factory=CardSettings)
    files: tuple[DataFile, ...] = ()
    parts: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    length: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    figures_of: str = "validation"
    course: Mapping[str, str] = field(default_factory=dict)
    base: Base | None = None


def data_file(part: str, path: Path, holds: str = "", seen: Stamp | None = None) -> DataFile:
    """A file with its checksum, read once from end to end.

    Args:
        part: what it is read for.
        path: the file.
        holds: what is in it.
        seen: its ``stamp`` when it was read for the run; if it is another one now, there is no
            checksum of what was read.
    """
    name = public_name(str(path))
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        now = stamp(path)
    except OSError:
        now = None
    if now is None or (seen is not None and seen != now):
        return DataFile(part, name, None, None, holds)
    return DataFile(part, name, now[0], digest, holds)


def stamp(path: Path) -> Stamp | None:
    """What tells cheaply that a file is the one that was read; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def public_name(path: str) -> str:
    """A path as others may see it: a relative one as it is, of others the last name."""
    return Path(path).name if Path(path).is_absolute() or path.startswith(("~", "..")) else path


def base_of(named: str) -> Base:
    """What there is to say of the model that a fine-tuning starts from; reads small files alone.

    Args:
        named: as the user did: a folder, a checkpoint, a packaged model, a name on the hub.
    """
    folder = Path(named) if Path(named).exists() else packaged_folder(named) or Path(named)
    name = public_name(named)
    if folder.name == "model" and (folder.parent / "config.yaml").is_file():
        name = public_name(str(folder.parent))  # of a run
    try:
        digest = read_json(folder / CONFIG).get("sha256")
    except (OSError, CheckpointError, AttributeError):
        return Base(name)
    try:
        with (folder / "README.md").open(encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
    except (OSError, UnicodeDecodeError):
        text = ""
    return Base(name, digest, text if len(text) <= _LONGEST else "")
