"""The cache: never stale, never half written, never in the way, and not missed when absent."""

import gzip
import io
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from rich.console import Console

from dnamamba.data.genome import build, index, shown, trust
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.places import cache_file, default_cache_dir
from dnamamba.data.genome.source import identify
from dnamamba.data.genome.trust import is_trusted

OLD = b">a\nAACC\nAACC\nAA\n>b\nTTTTTTTT\n"
NEW = b">a\nGGCC\nGGCC\nGG\n>b\nTTTTTTTT\n"  # as many bytes
LONGER = b">a\nGGGG\nCCCC\n>bb\nTTTTTTTT\n>c\nACGT\n"


def bases(genome: Genome) -> dict[str, bytes]:
    return {contig: genome.fetch(contig, 0, length) for contig, length in genome.contigs.items()}


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "g.fa"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def replace(path: Path, text: bytes, age: float) -> None:
    """Put another file in its place, as mv and rsync do, ``age`` seconds older than the last."""
    before = path.stat().st_mtime
    other = path.with_suffix(".new")
    other.write_bytes(text)
    os.utime(other, (before - age, before - age))
    os.replace(other, path)


@pytest.mark.parametrize("text", [NEW, LONGER], ids=["same size", "other size"])
@pytest.mark.parametrize("age", [-1000, 0, 1000], ids=["newer", "same time", "older"])
def test_a_changed_source_is_indexed_again(
    tmp_path: Path, fasta: Path, cache: Path, text: bytes, age: float
) -> None:
    stale, unread = Genome(fasta, cache), Genome(fasta, cache)
    before = bases(stale)
    replace(fasta, text, age)
    fresh = tmp_path / "fresh.fa"
    fresh.write_bytes(text)
    expected = bases(Genome(fresh, cache))
    assert bases(Genome(fasta, cache)) == expected != before
    assert bases(stale) == before  # what is open stays consistent
    with pytest.raises(ValueError, match=r"\.genome changed .* while in use; open the genome"):
        bases(unread)
    with pytest.raises(ValueError, match=r"\.genome changed while in use; open the genome"):
        unread.count_ambiguous([0], [0], [4])


def overwrite_in_place(path: Path, text: bytes) -> None:
    """Change the bytes but not the size, the modification time or the inode."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_modification_time_that_is_put_back_hides_nothing(fasta: Path, cache: Path) -> None:
    assert bases(Genome(fasta, cache))["a"] == b"AACCAACCAA"
    overwrite_in_place(fasta, NEW)
    assert bases(Genome(fasta, cache))["a"] == b"GGCCGGCCGG"


def test_verify_finds_what_size_and_times_hide(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genome = Genome(fasta, cache)
    genome.verify()
    identity = identify(fasta)
    overwrite_in_place(fasta, NEW)
    monkeypatch.setattr(build, "identify", lambda _: identity)  # as a damaged disk would
    again = Genome(fasta, cache)
    assert bases(again) == bases(genome)  # nothing cheap can tell
    with pytest.raises(ValueError, match=r"g\.fa is no longer the file that was indexed") as caught:
        again.verify()
    monkeypatch.undo()
    named = re.search(r"delete (\S+) and open", str(caught.value))
    assert named
    Path(named[1]).unlink()
    assert bases(Genome(fasta, cache))["a"] == b"GGCCGGCCGG"


def test_verify_finds_a_damaged_cache(fasta: Path, cache: Path) -> None:
    genome = Genome(fasta, cache)
    overwrite_in_place(cache_file(fasta, cache), b"C")
    with pytest.raises(ValueError, match=r"the cache .*\.genome is damaged; delete it") as caught:
        genome.verify()
    named = re.search(r"the cache (\S+) is damaged", str(caught.value))
    assert named
    Path(named[1]).unlink()
    Genome(fasta, cache).verify()


@pytest.mark.parametrize("opened", [True, False], ids=["read before", "not read before"])
def test_a_cache_overwritten_in_use(fasta: Path, cache: Path, opened: bool) -> None:
    genome = Genome(fasta, cache)
    if opened:
        genome.fetch("a", 0, 4)
    overwrite_in_place(cache_file(fasta, cache), b"C")
    with pytest.raises(ValueError, match=r"\.genome changed .* while in use"):
        genome.fetch("a", 0, 4)


def test_every_byte_behind_the_bases_is_checked(fasta: Path, cache: Path) -> None:
    """Runs of N, the index, the JSON, the tail: a changed bit is found at once, or when needed."""
    fasta.write_bytes(b">a\nACGTNNNRACGT\n>b\nTTTT\n")
    expected = Genome(fasta, cache)
    file = cache_file(fasta, cache)
    whole = file.read_bytes()
    for place in [
        *range(18, 50, 5),
        *range(50, len(whole), 17),
        *range(len(whole) - 32, len(whole)),
    ]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        genome = Genome(fasta, cache)
        if place < 16 + 16:  # the run of ambiguous bases: read when it is asked for
            with pytest.raises(ValueError, match=r"the cache .*\.genome is damaged; delete it"):
                genome.count_ambiguous([0], [0], [12])
            file.unlink()
            genome = Genome(fasta, cache)
        assert bases(genome) == bases(Genome(fasta, cache))
        assert genome.contigs == expected.contigs
        assert genome.count_ambiguous([0], [0], [12]).tolist() == [4]


# Whose cache it is


def test_a_cache_planted_by_another_user_is_not_read(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Genome(fasta, cache)  # theirs: sound, of this very file, but for its bases
    planted = cache_file(fasta, cache)
    overwrite_in_place(planted, b"GGGG")
    before = planted.read_bytes()
    monkeypatch.setattr(build, "is_trusted", lambda file, _: file != planted)
    with pytest.warns(UserWarning, match=r"\.genome belongs to another user and is not read"):
        genome = Genome(fasta, cache)
    assert bases(genome)["a"] == b"AACCAACCAA"
    assert planted.read_bytes() == before
    assert len(list(cache.glob(f"*.u{os.geteuid()}.genome"))) == 1
    monkeypatch.setenv("DNAMAMBA_CACHE", str(cache.parent / "own"))  # the warning's remedy
    assert bases(Genome(fasta))["a"] == b"AACCAACCAA"
    monkeypatch.setattr(build, "_build", None)
    with warnings.catch_warnings():  # the own one is there: no more is said
        warnings.simplefilter("error")
        assert bases(Genome(fasta, cache))["a"] == b"AACCAACCAA"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(("owner", "trusted"), [(0, True), (4321, False)])
def test_root_is_trusted_and_nobody_else(
    fasta: Path, cache: Path, owner: int, trusted: bool
) -> None:
    Genome(fasta, cache)
    os.chown(cache_file(fasta, cache), owner, -1)
    assert is_trusted(cache_file(fasta, cache), cache) == trusted
    with open(cache_file(fasta, cache), "rb") as file:
        assert is_trusted(file.fileno(), cache) == trusted


def test_where_a_mount_gives_all_files_to_one_owner_he_is_trusted(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Genome(fasta, cache)
    own = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: own)
    monkeypatch.setattr(trust, "_ROOT", -1)
    monkeypatch.setattr(build, "_build", None)
    assert bases(Genome(fasta, cache))["a"] == b"AACCAACCAA"


def test_nobody_else_may_write_in_a_cache(fasta: Path, cache: Path) -> None:
    before = os.umask(0)
    try:
        Genome(fasta, cache)
    finally:
        os.umask(before)
    assert cache_file(fasta, cache).stat().st_mode & 0o022 == 0


@pytest.mark.parametrize(
    "keep", [0, 1, 10, 17, 18, 100, -17, -1], ids=lambda size: f"cut to {size}"
)
def test_a_truncated_cache_is_built_again(fasta: Path, cache: Path, keep: int) -> None:
    expected = bases(Genome(fasta, cache))
    file = cache_file(fasta, cache)
    whole = file.read_bytes()
    file.write_bytes(whole[:keep])
    assert bases(Genome(fasta, cache)) == expected
    assert len(file.read_bytes()) >= len(whole) - 8  # but for the digits of a time stamp


@pytest.mark.parametrize("text", [b"", b"junk" * 100, b"{}" + b"\2" + b"\0" * 7 + b"DNAMAMB1"])
def test_a_foreign_cache_file_is_built_again(fasta: Path, cache: Path, text: bytes) -> None:
    cache.mkdir()
    cache_file(fasta, cache).write_bytes(text)
    assert bases(Genome(fasta, cache))["a"] == b"AACCAACCAA"


def test_it_is_built_once(fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bases(Genome(fasta, cache))
    monkeypatch.setattr(build, "parse", None)
    monkeypatch.setattr(index.pyfaidx.Faidx, "build_index", None)
    monkeypatch.setattr(FileLock, "acquire", None)  # and opened without a lock
    monkeypatch.setattr(Path, "mkdir", None)  # or a write: a shared cache may be read-only
    assert bases(Genome(fasta, cache)) == first


def test_links_share_it(tmp_path: Path, fasta: Path, cache: Path) -> None:
    link = tmp_path / "link.fa"
    link.symlink_to(fasta)
    assert bases(Genome(fasta, cache)) == bases(Genome(link, cache))
    assert len(list(cache.glob("*.genome"))) == 1


def test_files_of_one_name_do_not(tmp_path: Path, cache: Path) -> None:
    for folder, text in (("x", OLD), ("y", NEW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "g.fa").write_bytes(text)
    one, two = (Genome(tmp_path / folder / "g.fa", cache) for folder in "xy")
    assert bases(one)["a"] == b"AACCAACCAA"
    assert bases(two)["a"] == b"GGCCGGCCGG"


def test_where_it_lies(fasta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "named"))
    Genome(fasta)
    assert len(list((tmp_path / "named").glob("g.fa-*.genome"))) == 1
    monkeypatch.setenv("DNAMAMBA_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "dnamamba"


def test_where_it_lies_without_a_home(
    fasta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("DNAMAMBA_CACHE")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert default_cache_dir() == tmp_path / f"dnamamba-{os.geteuid()}"
    assert bases(Genome(fasta))["a"] == b"AACCAACCAA"


@pytest.mark.parametrize("place", ["", "deeper/down"])
def test_a_cache_folder_that_cannot_be(tmp_path: Path, fasta: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"cannot write the cache of .*g\.fa .*cache_dir or \$DN"):
        Genome(fasta, tmp_path / "file" / place)


def test_a_read_only_cache_folder(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so that the refusal is played."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ValueError, match=r"cannot write the cache .*Permission denied; name"):
        Genome(fasta, cache)


def test_a_cache_folder_without_locks(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(ValueError, match=r"cannot be locked; name another place with cache_dir"):
        Genome(fasta, cache)


def test_a_read_only_source_folder(fasta: Path, cache: Path) -> None:
    fasta.parent.chmod(0o555)
    cache = Path(str(fasta.parent) + "-cache")
    try:
        assert bases(Genome(fasta, cache))["a"] == b"AACCAACCAA"
        assert [p.name for p in fasta.parent.iterdir()] == ["g.fa"]
    finally:
        fasta.parent.chmod(0o755)


# Without room


def test_without_room_the_source_is_read(fasta: Path, cache: Path, no_room: None) -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"g\.fa: no room for its cache .*cache_dir or \$DNA"):
            genome = Genome(fasta, cache)
        assert bases(genome) == {"a": b"AACCAACCAA", "b": b"TTTTTTTT"}
        assert cache_file(fasta, cache).stat().st_size < 2_000
        genome.verify()


def test_when_there_is_room_again_it_is_used(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(fasta.parent)._replace(free=0)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.warns(UserWarning, match="no room"):
            Genome(fasta, cache)
    genome = Genome(fasta, cache)
    fasta.unlink()
    assert bases(genome)["b"] == b"TTTTTTTT"  # no more read from the source


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def rewrite(path: Path) -> None:
    path.write_bytes(NEW)
    os.utime(path, (0, 0))


def grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"ACGT\n")


@pytest.mark.parametrize("change", [truncate, rewrite, grow, Path.unlink])
@pytest.mark.parametrize("opened", [True, False], ids=["read before", "not read before"])
def test_a_source_that_changes_in_use(
    fasta: Path, cache: Path, no_room: None, change: Callable[[Path], None], opened: bool
) -> None:
    with pytest.warns(UserWarning, match="no room"):
        genome = Genome(fasta, cache)
    if opened:
        genome.fetch("a", 0, 4)
    change(fasta)
    if opened and change is Path.unlink:
        assert genome.fetch("a", 0, 4) == b"AACC"  # an open file outlives its name
        return
    with pytest.raises(ValueError, match=r"g\.fa.*(changed or was truncated|No such file).*again"):
        genome.fetch("a", 0, 4)


@pytest.mark.parametrize("moment", ["before the read", "while it is read"])
def test_a_source_overwritten_in_place(
    fasta: Path, cache: Path, no_room: None, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(UserWarning, match="no room"):
        genome = Genome(fasta, cache)
    genome.fetch("a", 0, 4)
    if moment == "before the read":
        overwrite_in_place(fasta, NEW)
    else:
        real = os.preadv

        def late(*arguments: Any) -> int:
            overwrite_in_place(fasta, NEW)
            return real(*arguments)

        monkeypatch.setattr(os, "preadv", late)
    for read in (
        lambda: genome.fetch("a", 0, 4),
        lambda: genome.read_into([0], [0], [4], np.zeros((1, 4), np.uint8)),
    ):
        with pytest.raises(ValueError, match=r"g\.fa changed .*; open the genome again"):
            read()
    monkeypatch.undo()
    assert bases(Genome(fasta, cache))["a"] == b"GGCCGGCCGG"  # the remedy


def test_a_read_that_comes_back_short(
    fasta: Path, cache: Path, no_room: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut between the check and the read: the last net."""
    with pytest.warns(UserWarning, match="no room"):
        genome = Genome(fasta, cache)
    monkeypatch.setattr("dnamamba.data.genome.pread.is_still", lambda *_: True)
    truncate(fasta)
    assert genome.fetch("a", 0, 4) == b"AACC"
    with pytest.raises(ValueError, match="changed or was truncated while in use"):
        genome.fetch("a", 4, 10)


FILL = """
import gzip, resource, sys, warnings
from dnamamba.data.genome.fasta import Genome
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        genome = Genome(sys.argv[1], sys.argv[2])
        print("opened", genome.fetch("r0", 0, 4), [str(w.message) for w in said])
except ValueError as error:
    print("refused", error)
"""
ONE_LONG = b">r0\n" + b"ACGTTGCATG\n" * 20_000
MANY_SHORT = b"".join(b">r%d\nACGT\n" % i for i in range(9_000))  # the index outgrows the text


@pytest.mark.parametrize(
    ("text", "packed", "limit", "expected"),
    [
        (ONE_LONG, False, 50_000, r"opened b'ACGT' \['.*g\.fa: no room for its cache"),
        (ONE_LONG, True, 50_000, r"refused .*compressed .*needs about [01] MB .*or \$DNAMAMBA"),
        (MANY_SHORT, True, 210_000, r"refused .*no room for it: needs 0 MB .*or \$DNAMAMBA_CACHE"),
        (MANY_SHORT, False, 10, r"refused .*g\.fa: no room for its index .*or \$DNAMAMBA_CACHE"),
        (MANY_SHORT, False, 210_000, r"refused cannot write the cache .*no room.*or \$DNAMAMBA"),
    ],
    ids=["caching", "unpacking", "caching compressed", "indexing", "not even the index"],
)
def test_the_disk_fills_while_building(
    fasta: Path,
    cache: Path,
    text: bytes,
    packed: bool,
    limit: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit on the size of files is a full disk that needs no root."""
    fasta.write_bytes(gzip.compress(text) if packed else text)
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(fasta), str(cache), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.match(expected, done.stdout), done.stdout
    if "refused" in expected:
        assert {p.suffix for p in cache.iterdir()} == {".lock"}  # no half-written rest
        genome = Genome(fasta, cache)  # with room again
    else:
        monkeypatch.setattr(build, "_build", None)  # it is not tried at every opening
        with pytest.warns(UserWarning, match="no room for its cache"):
            genome = Genome(fasta, cache)
    assert genome.fetch("r0", 0, 4) == b"ACGT"
    genome.verify()


@pytest.mark.parametrize("step", ["parse", "index_records", "scan"])
def test_a_source_that_changes_while_it_is_read(
    fasta: Path,
    cache: Path,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if step != "parse":
        request.getfixturevalue("no_room")
    real = getattr(build, step)

    def read_then_change(*arguments: Any) -> Any:
        result = real(*arguments)
        grow(fasta)
        return result

    monkeypatch.setattr(build, step, read_then_change)
    with pytest.raises(ValueError, match=r"g\.fa"):
        Genome(fasta, cache)
    assert not list(cache.glob("*.genome"))


def test_a_long_build_shows_its_progress(
    fasta: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.StringIO()
    monkeypatch.setattr(shown, "_SLOW", 0)
    monkeypatch.setattr(shown, "Console", lambda file: Console(file=text, force_terminal=True))
    Genome(fasta, cache)
    assert "caching g.fa" in text.getvalue()
    assert "100%" in text.getvalue()
