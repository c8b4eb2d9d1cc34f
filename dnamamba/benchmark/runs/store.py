"""Rows on disk: one small file a finished job, whole or not there."""

import hashlib
import json
import math
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.files import replacing

__all__ = ["Store", "hash_of"]


def hash_of(key: str) -> str:
    """What the file of a job's row is called."""
    return hashlib.blake2b(key.encode(), digest_size=12).hexdigest()


class Store:
    """The rows of an output folder, and of those columns that know no model in the cache, too.

    Args:
        output: the folder; rows are in ``rows``.
        cache: folder of the rows that serve every output.
        shared: columns whose rows do.
    """

    def __init__(self, output: Path, cache: Path, shared: Collection[str] = ()) -> None:
        self._own, self._cache, self._shared = output / "rows", cache / "benchmark" / "rows", shared
        self._rows: dict[str, Row] = {}

    def read(self, jobs: Iterable[Job]) -> None:
        """Look for the rows of these jobs.

        Raises:
            ValueError: a file holds no row; names it.
        """
        for job in jobs:
            self.look(job)

    def look(self, job: Job) -> Row | None:
        """A job's row, read anew unless it is known; one that the cache alone has is copied."""
        if job.key in self._rows:
            return self._rows[job.key]
        row = _read(self._path(self._own, job), job.key)
        if row is None and job.column in self._shared:
            row = _read(self._path(self._cache, job), job.key)
            if row is not None:
                self._write(self._own, job, row)
        if row is not None:
            self._rows[job.key] = row
        return row

    def row(self, key: str) -> Row | None:
        """The row of a job that was looked for, by the job's key."""
        return self._rows.get(key)

    def write(self, job: Job, row: Row) -> None:
        """Leave a job's row.

        Raises:
            OSError: it cannot be written.
        """
        row = {**_plain(row), "key": job.key}
        self._write(self._own, job, row)
        if job.column in self._shared:
            with suppress(OSError):  # others then do it again
                self._write(self._cache, job, row)

    def _write(self, folder: Path, job: Job, row: Row) -> None:
        with replacing(self._path(folder, job)) as file:
            file.write((json.dumps(row, indent=1, allow_nan=False) + "\n").encode())

    def _path(self, folder: Path, job: Job) -> Path:
        return folder / f"{hash_of(job.key)}.json"


def _read(path: Path, key: str) -> Row | None:
    try:
        row = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path} holds no row ({error}); remove it, and it is made again"
        ) from error
    if not isinstance(row, dict) or row.get("key") != key:
        raise ValueError(f"{path} holds no row of this run; remove it, and it is made again")
    return row


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: what could not be measured is null."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
