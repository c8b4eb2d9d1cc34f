"""Building a genome's cache: once, by one process, whoever else wants it and whoever is killed."""

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock

from dnamamba.data.genome.cache import Contents, append_contents, digest_of, read_contents
from dnamamba.data.genome.census import Census
from dnamamba.data.genome.index import Record, index_records
from dnamamba.data.genome.parse import parse
from dnamamba.data.genome.passing import passing_folder
from dnamamba.data.genome.places import cache_file, own_name
from dnamamba.data.genome.scan import scan
from dnamamba.data.genome.seal import file_hash, is_whole, seal
from dnamamba.data.genome.shown import Stage, stages
from dnamamba.data.genome.source import (
    NO_ROOM,
    Identity,
    Progress,
    check_end,
    identify,
    is_compressed,
    unpack,
)
from dnamamba.data.genome.trust import is_trusted
from dnamamba.files import sync_folder

__all__ = ["open_cache"]

_SPARE = 1 << 24  # bytes left free on the cache's disk

Write = Callable[[bytes], object]
Read = Callable[[Write, Write], tuple[list[Record], Census]]
"""Reads a FASTA once; calls the first function with all its bytes, the second with its bases."""


def open_cache(path: Path, cache_dir: Path) -> tuple[Contents, Path]:
    """What is known of a FASTA; built first if the cache has nothing on the file as it is now.

    A cache that another user has put into a shared folder is not read.

    Returns:
        The contents of the cache file, and where it lies.

    Raises:
        ValueError: the file is no sound FASTA of nucleotides, or changed meanwhile, or the cache
            cannot be written; names the file and the remedy.
    """
    compressed = is_compressed(path)
    plain = cache_file(path, cache_dir)
    if (folder := passing_folder()) is not None:
        return _open_passing(path, plain, compressed, folder)
    own, foreign = own_name(plain), not is_trusted(plain, cache_dir)
    for target in [own] if foreign else [plain, own]:
        if (contents := _current(path, target, warn=True)) is not None:
            return contents, target
    if foreign:
        warnings.warn(
            f"{plain} belongs to another user and is not read; {path} gets a cache of your own. "
            "Name another place with cache_dir or $DNAMAMBA_CACHE",
            stacklevel=3,
        )
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not foreign:
            with suppress(PermissionError):  # what is in the way may be another user's
                return _locked_build(path, plain, compressed), plain
        return _locked_build(path, own, compressed), own
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


def _open_passing(path: Path, plain: Path, compressed: bool, folder: Path) -> tuple[Contents, Path]:
    """What ``open_cache`` does where nothing is to stay."""
    target = cache_file(path, folder)
    trusted = [plain] if is_trusted(plain, plain.parent) else []
    for cache in [*trusted, own_name(plain), target]:
        if (contents := _current(path, cache)) is not None:
            return contents, cache
    try:
        return _locked_build(path, target, compressed), target
    except OSError as error:
        why = "no room" if error.errno in NO_ROOM else error.strerror or error
        raise ValueError(
            f"cannot read {path} by way of {folder}: {why}; name another place with $TMPDIR"
        ) from error


def _locked_build(path: Path, target: Path, compressed: bool) -> Contents:
    with FileLock(target.with_suffix(".lock")):
        # Another process may have built it while this one waited.
        return _current(path, target) or _build(path, target, compressed)


def _current(path: Path, target: Path, warn: bool = False) -> Contents | None:
    """The cache, if it is whole, of this file, and lacks no bases that there is room for now."""
    contents = read_contents(target)
    if contents is None or contents.source != identify(path):
        return None
    if contents.room_wanted and _free(target) >= contents.room_wanted:
        return None
    if is_whole(target, contents):
        return contents
    if warn:
        warnings.warn(
            f"the cache {target} is damaged, not what was written; it is built again", stacklevel=4
        )
    return None


def _free(target: Path) -> int:
    return shutil.disk_usage(target.parent).free


def _build(path: Path, target: Path, compressed: bool) -> Contents:
    scratch = target.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    scratch.mkdir(mode=0o700)
    try:
        source = identify(path)
        with stages(path, source.size) as stage:
            built = _write_cache(path, source, scratch, compressed, stage)
        if identify(path) != source:
            raise ValueError(f"{path} changed while it was read; open it again")
        os.replace(built, target)
        sync_folder(target.parent)
        seal(target)
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
    check_end(plain, path)
    size = identify(plain).size
    built = scratch / "genome"
    room_wanted = size + _SPARE
    if compressed or _free(built) >= room_wanted:
        try:
            stage_of_cache = stage("caching", size)
            _fill(built, path, plain, source, partial(parse, plain, path), 0, stage_of_cache)
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
    records = index_records(plain, scratch, path, stage("indexing", size))

    def proven(seen: Write, write: Write) -> tuple[list[Record], Census]:
        return records, scan(plain, path, _filled(records, path), seen, write)

    _fill(built, path, plain, source, proven, room_wanted, stage("checking", size))
    return built


def _fill(
    built: Path,
    path: Path,
    plain: Path,
    source: Identity,
    read: Read,
    room_wanted: int,
    progress: Progress,
) -> None:
    text_hash, bases_hash = hashlib.blake2b(), hashlib.blake2b()
    with open(built, "wb") as file:
        with suppress(OSError):  # some mounts know no modes
            os.fchmod(file.fileno(), 0o644)  # nobody else writes in it, whatever the umask

        def seen(block: bytes) -> None:
            text_hash.update(block)
            progress(len(block))

        def write(bases: bytes) -> None:
            bases_hash.update(bases)
            if not room_wanted:
                file.write(bases)

        records, census = read(seen, write)
        filled = _filled(records, path)
        runs = census.runs
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
            n_runs=len(runs),
            runs_hash=digest_of(runs.astype("<i8")).hex(),
        )
        append_contents(file, contents, runs)


def _filled(records: list[Record], path: Path) -> list[Record]:
    filled = [record for record in records if record.length]
    if not filled:
        raise ValueError(f"{path}: all {len(records)} records are empty; expected bases")
    return filled
