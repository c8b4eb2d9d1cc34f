"""A cache whose bases changed on the disk is never served; one that did not costs a glance."""

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from dnamamba.data.genome import build, seal
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.passing import keep_no_cache
from dnamamba.data.genome.places import cache_file

TEXT = b">a\nAACCAACCAA\n>b\nTTGG\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "g.fa"
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def cache(fasta: Path) -> Path:
    """The cache file of the FASTA, written and sealed."""
    Genome(fasta, fasta.parent / "cache")
    return cache_file(fasta, fasta.parent / "cache")


def bases(fasta: Path) -> list[bytes]:
    genome = Genome(fasta, fasta.parent / "cache")
    return [genome.fetch("a", 0, 10), genome.fetch("b", 0, 4)]


def flip(cache: Path, place: int, keep_time: bool) -> None:
    before = cache.stat()
    with open(cache, "r+b") as file:
        file.seek(place)
        file.write(b"G" if file.peek(1)[:1] != b"G" else b"C")  # type: ignore[attr-defined]
    if keep_time:
        os.utime(cache, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("keep_time", [True, False], ids=["its time put back", "its time moved"])
@pytest.mark.parametrize("place", [0, 9, 13])
def test_a_flipped_base_is_not_served(
    fasta: Path, cache: Path, place: int, keep_time: bool
) -> None:
    flip(cache, place, keep_time)
    with pytest.warns(UserWarning, match=r"the cache .*\.genome is damaged, not what") as caught:
        assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]


def test_bases_of_another_cache(fasta: Path, cache: Path, tmp_path: Path) -> None:
    """Laid in by hand, of one size with its own."""
    other = tmp_path / "other.fa"
    other.write_bytes(TEXT.replace(b"AACC", b"GGTT"))
    Genome(other, cache.parent)
    strange = cache_file(other, cache.parent).read_bytes()
    cache.write_bytes(strange[:14] + cache.read_bytes()[14:])
    with pytest.warns(UserWarning, match="is damaged, not what was written; it is built again"):
        assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]


def copied(cache: Path) -> None:
    copy = cache.with_name("copy")
    shutil.copy(cache, copy)
    copy.replace(cache)


def seal_of(cache: Path) -> Path:
    (path,) = cache.parent.glob("*.seal")
    return path


UNSEALED: dict[str, Callable[[Path], Any]] = {
    "copied": copied,
    "touched": os.utime,
    "no seal": lambda cache: seal_of(cache).unlink(),
    "an empty seal": lambda cache: seal_of(cache).write_bytes(b""),
    "another seal": lambda cache: seal_of(cache).write_bytes(bytes(32)),
    "a long seal": lambda cache: seal_of(cache).write_bytes(bytes(99)),
}


@pytest.mark.parametrize("name", UNSEALED)
def test_what_is_whole_is_sealed_again(
    fasta: Path, cache: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_build", None)
    UNSEALED[name](cache)
    assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]
    monkeypatch.setattr(seal, "file_hash", None)  # from now on it is not read in full
    assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]


def test_a_read_only_folder_needs_no_seal(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so that the refusal is played."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    seal_of(cache).unlink()
    monkeypatch.setattr(build, "_build", None)
    monkeypatch.setattr(seal, "replacing", refuse)
    for _ in range(2):
        assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]
    flip(cache, 3, keep_time=True)
    monkeypatch.setattr(FileLock, "acquire", refuse)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match=r"cannot write the cache .*denied; name another place"),
    ):
        bases(fasta)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_seal_of_another_user_is_none(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(seal_of(cache), 4321, -1)
    monkeypatch.setattr(seal, "file_hash", lambda *_: "another")
    with pytest.warns(UserWarning, match="is damaged"):
        assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]


def test_a_lock_of_another_user_is_no_obstacle(
    fasta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared folder, left by a build of his that was killed."""
    real = FileLock.acquire

    def refuse(lock: Any, *rest: Any, **more: Any) -> Any:
        if not lock.lock_file.endswith(f".u{os.geteuid()}.lock"):
            raise PermissionError(13, "Permission denied")
        return real(lock, *rest, **more)

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]
    monkeypatch.setattr(build, "_build", None)
    assert bases(fasta) == [b"AACCAACCAA", b"TTGG"]


@pytest.mark.parametrize("state", ["none yet", "whole", "copied", "changed"])
def test_where_nothing_is_to_stay_nothing_is_written(
    state: str, fasta: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    if state != "none yet":
        Genome(fasta, folder)
    if state == "copied":  # whole, but not known to be
        os.utime(cache_file(fasta, folder))
    if state == "changed":
        fasta.write_bytes(TEXT.replace(b"TTGG", b"TTCC"))
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    with keep_no_cache():
        for _ in range(2):
            genome = Genome(fasta, folder)
            assert genome.fetch("b", 0, 4) == (b"TTCC" if state == "changed" else b"TTGG")
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
    assert folder.exists() == (state != "none yet")
    assert bases(fasta)[0] == b"AACCAACCAA"  # then as ever
