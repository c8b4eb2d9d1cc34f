"""Building a genome's cache: once, by one process, whoever else wants it and whoever is killed."""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock
from rich.console import Console
from rich.progress import Progress as ProgressBar

from dnamamba.data.genome.cache import Contents, append_contents, read_contents
from dnamamba.data.genome.index import Record, index_records
from dnamamba.data.genome.scan import scan
from dnamamba.data.genome.source import (
    BLOCK,
    NO_ROOM,
    Identity,
    Progress,
    identify,
    is_compressed,
    unpack,
)
from dnamamba.files import sync_folder

__all__ = ["cache_file", "default_cache_dir", "file_hash", "open_cache"]

_SLOW = 1 << 26  # bytes from which a build takes seconds: shows its progress
_SPARE = 1 << 24  # bytes left free on the cache's disk

Stage = Callable[[str, int], Progress]


def default_cache_dir() -> Path:
    """``$DNAMAMBA_CACHE``, else ``~/.cache/dnamamba``."""
    return Path(os.environ.get("DNAMAMBA_CACHE") or Path.home() / ".cache" / "dnamamba")


def cache_file(path: Path, cache_dir: Path) -> Path:
    """Where the cache of a FASTA lies; links to one file share it."""
    real = path.resolve()
    key = hashlib.blake2b(os.fsencode(real), digest_size=8).hexdigest()
    return cache_dir / f"{real.name[:100]}-{key}.genome"


def file_hash(path: Path, size: int | None = None) -> str:
    """BLAKE2b of a file, or of its first ``size`` bytes, in hexadecimal."""
    digest, left = hashlib.blake2b(), identify(path).size if size is None else size
    with open(path, "rb") as file:
        while left and (block := file.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def open_cache(path: Path, cache_dir: Path) -> Contents:
    """What is known of a FASTA; built first if the cache has nothing on the file as it is now.

    Raises:
        ValueError: the file is no sound FASTA of nucleotides, or changed meanwhile, or the cache
            cannot be written; names the file and the remedy.
    """
    compressed = is_compressed(path)
    target = cache_file(path, cache_dir)
    contents = _current(path, target)
    if contents is not None:
        return contents
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            # Another process may have built it while this one waited.
            return _current(path, target) or _build(path, target, compressed)
    except NotImplementedError as error:
        raise ValueError(
            f"files in {cache_dir} cannot be locked; name another place with cache_dir or "
            "$DNAMAMBA_CACHE"
        ) from error
    except OSError as error:
        why = "no room" if error.errno in NO_ROOM else error.strerror or error
        raise ValueError(
            f"cannot write the cache of {path} in {cache_dir}: {why}; "
            "name another place with cache_dir or $DNAMAMBA_CACHE"
        ) from error


def _current(path: Path, target: Path) -> Contents | None:
    """The cache, unless it is of another file or lacks bases that there is room for now."""
    contents = read_contents(target)
    if contents is None or contents.source != identify(path):
        return None
    if contents.room_wanted and _free(target) >= contents.room_wanted:
        return None
    return contents


def _free(target: Path) -> int:
    return shutil.disk_usage(target.parent).free


def _build(path: Path, target: Path, compressed: bool) -> Contents:
    scratch = target.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    scratch.mkdir()
    try:
        source = identify(path)
        with _progress(path, source.size) as stage:
            built = _write_cache(path, source, scratch, compressed, stage)
        if identify(path) != source:
            raise ValueError(f"{path} changed while it was read; open it again")
        os.replace(built, target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    contents = read_contents(target)
    if contents is None:
        raise ValueError(f"the cache {target} does not read back; is its disk sound?")
    return contents


def _write_cache(
    path: Path, source: Identity, scratch: Path, compressed: bool, stage: Stage
) -> Path:
    """Index the FASTA and write its cache file into the scratch folder."""
    plain = path
    if compressed:
        plain = scratch / "source.fa"
        unpack(path, plain, stage("unpacking", source.size))
    size = identify(plain).size
    records = index_records(plain, scratch, path, stage("indexing", size))
    built = scratch / "genome"
    room_wanted = size + _SPARE
    if compressed or _free(built) >= room_wanted:
        try:
            _fill(built, path, plain, source, records, 0, stage("caching", size))
            return built
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            room_wanted = _free(built) + size  # a quota, perhaps: free space does not tell
    if compressed:
        raise ValueError(
            f"{path} is compressed and is read through the cache, which has no room for it: needs "
            f"{2 * size / 1e6:,.0f} MB in {scratch.parent} while it is built; name another place "
            "with cache_dir or $DNAMAMBA_CACHE"
        )
    _fill(built, path, plain, source, records, room_wanted, stage("checking", size))
    return built


def _fill(
    built: Path,
    path: Path,
    plain: Path,
    source: Identity,
    records: list[Record],
    room_wanted: int,
    progress: Progress,
) -> None:
    text_hash, bases_hash = hashlib.blake2b(), hashlib.blake2b()
    with open(built, "wb") as file:

        def seen(block: bytes) -> None:
            text_hash.update(block)
            progress(len(block))

        def write(bases: bytes) -> None:
            bases_hash.update(bases)
            if not room_wanted:
                file.write(bases)

        filled = [record for record in records if record.length]
        census = scan(plain, path, records, seen, write)
        contents = Contents(
            source=source,
            source_hash=text_hash.hexdigest() if plain == path else file_hash(path),
            bases_hash=bases_hash.hexdigest(),
            room_wanted=room_wanted,
            names=[record.name for record in filled],
            layout=np.array([record[1:] for record in filled], np.int64).reshape(-1, 4),
            skipped=[record.name for record in records if not record.length],
            counts=census.counts.tolist(),
            noted=census.noted,
            n_runs=len(census.runs),
        )
        if not filled:
            raise ValueError(f"{path}: all {len(records)} records are empty; expected bases")
        append_contents(file, contents, census.runs)


@contextmanager
def _progress(path: Path, size: int) -> Iterator[Stage]:
    console = Console(file=sys.stderr)
    with ProgressBar(console=console, transient=True, disable=size < _SLOW) as bar:

        def stage(name: str, total: int) -> Progress:
            for old in bar.task_ids:
                bar.remove_task(old)
            task, waiting = bar.add_task(f"{name} {path.name}", total=total), 0

            def advance(done: int) -> None:
                nonlocal waiting  # a genome may come in a million small pieces
                waiting += done
                if waiting >= total // 200:
                    bar.advance(task, waiting)
                    waiting = 0

            return advance

        yield stage
