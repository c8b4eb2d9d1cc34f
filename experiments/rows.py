"""Rows of the table on disk: one small file a finished job, whole or not there."""

import json
import math
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dnamamba.files import replacing

__all__ = ["machine_of", "matching", "merge", "pack", "read_row", "read_rows", "write_row"]

Row = dict[str, Any]

RESULTS = Path(__file__).with_name("results")
"""Where rows are committed."""


def write_row(folder: Path, name: str, row: Row) -> None:
    """Leave a job's row."""
    with replacing(folder / "rows" / f"{name}.json") as file:
        file.write((json.dumps(_plain(row), indent=1, allow_nan=False) + "\n").encode())


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: what could not be measured is null."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_row(folder: Path, name: str) -> Row:
    """A job's row; empty if it has none."""
    path = folder / "rows" / f"{name}.json"
    row: Row = json.loads(path.read_text()) if path.is_file() else {}
    return row


def read_rows(folder: Path) -> dict[str, Row]:
    """Name of a job -> its row."""
    paths = sorted((folder / "rows").glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def merge(folders: Iterable[Path], name: str) -> dict[str, Row]:
    """Rows of several folders, of which later ones count, added to ``results/NAME.json``."""
    path = RESULTS / f"{name}.json"
    rows: dict[str, Row] = json.loads(path.read_text()) if path.is_file() else {}
    for folder in folders:
        rows |= read_rows(folder)
    with replacing(path) as file:
        file.write((json.dumps(dict(sorted(rows.items())), indent=1) + "\n").encode())
    return rows


def pack(folder: Path, into: Path) -> list[Path]:
    """Rows and logs in one tar file, and each size's pretrained models in another."""
    into.mkdir(parents=True, exist_ok=True)
    models = sorted((folder / "pretrained").glob("*/model.safetensors"))
    parts = {"rows": [folder / "rows", folder / "logs"]}
    for model in models:
        size = model.parent.name.rpartition("-")[0]
        parts.setdefault(f"pretrained-{size}", []).append(model.parent)
    written = []
    for name, paths in parts.items():
        written.append(into / f"{name}.tar")
        with replacing(written[-1]) as file, tarfile.open(fileobj=file, mode="w") as archive:
            for path in filter(Path.exists, paths):
                archive.add(path, path.relative_to(folder))
    return written


def matching(rows: Iterable[Mapping[str, Any]], /, **wanted: Any) -> list[Any]:
    """The rows that say all of this."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def machine_of(row: Row) -> str:
    """Where and when a row was made."""
    machine = row["machine"]
    return f"{machine['device']}, torch {machine['torch']}, {machine['date']}"
