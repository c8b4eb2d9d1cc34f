"""A file is the old one or the new one, whatever happens while it is written."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnamamba.files import replacing, replacing_together, why_not_writable


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_together(folder: Path, files: int) -> None:
    with replacing_together() as opened:
        for number in range(files):
            with opened(folder / str(number)) as file:
                file.write(b"new")


def write(target: Path, content: bytes, error: BaseException | None = None) -> None:
    with replacing(target) as file:
        file.write(content)
        if error is not None:
            raise error


def test_writes_and_makes_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "new" / "a.bin", b"whole")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"whole"
    assert names(tmp_path / "new") == ["a.bin"]


def test_the_old_file_stands_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with replacing(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(
    "error", [ValueError("on purpose"), KeyboardInterrupt(), FileNotFoundError(2, "no", "in.fa")]
)
def test_an_error_in_the_block_leaves_the_old_file_and_no_litter(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(type(error)) as caught:
        write(target, b"half", error)
    assert caught.value is error
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("at", ["fsync", "write"])
def test_a_full_disk_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    full = OSError(errno.ENOSPC, "No space left on device")

    def fsync(_: int) -> None:
        raise full

    if at == "fsync":
        monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"no room to write .*a\.bin .* MiB free.* intact") as caught:
        write(target, b"new", full if at == "write" else None)
    assert caught.value.errno == errno.ENOSPC
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"cannot write .*a\.bin"):
        write(tmp_path / "file" / "a.bin", b"new")


def test_what_a_killed_process_left_is_swept_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    script = (
        "import os, signal, sys\n"
        "from dnamamba.files import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", script, str(target)]).returncode == -9
    assert target.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2

    elsewhere, forgotten = tmp_path / ".a.bin.otherhost.12.ab.tmp", tmp_path / ".a.bin.x.1.cd.tmp"
    elsewhere.touch()
    forgotten.touch()
    os.utime(forgotten, (time.time() - 2 * 86400,) * 2)
    with replacing(target) as outer:
        outer.write(b"live")
        with replacing(target) as inner:
            inner.write(b"new")
        assert target.read_bytes() == b"new"
    assert target.read_bytes() == b"live"
    assert names(tmp_path) == [elsewhere.name, "a.bin"]


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3, None])
def test_several_files_are_replaced_together_or_not_at_all(
    tmp_path: Path, fails_at: int | None
) -> None:
    (tmp_path / "0").write_bytes(b"old")

    def fail(at: int) -> None:
        if at == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write_all() -> None:
        with replacing_together() as opened:
            for number in range(3):
                with opened(tmp_path / str(number)) as file:
                    file.write(b"new")
                    fail(number)
            fail(3)
            assert (tmp_path / "0").read_bytes() == b"old"

    if fails_at is None:
        write_all()
        assert names(tmp_path) == ["0", "1", "2"]
        assert (tmp_path / "0").read_bytes() == b"new"
        return
    with pytest.raises(OSError, match=r"space left|no room to write"):
        write_all()
    assert names(tmp_path) == ["0"]
    assert (tmp_path / "0").read_bytes() == b"old"


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_move_that_fails_takes_back_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int, links: bool
) -> None:
    for number in (0, 2):
        (tmp_path / str(number)).write_bytes(b"old")
    replace = Path.replace

    def replace_or_fail(self: Path, target: Path) -> Path:
        if target.name == str(fails_at) and self.read_bytes() == b"new":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return replace(self, target)

    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", replace_or_fail)
    if not links:
        monkeypatch.setattr(os, "link", lambda a, b: no_links() if Path(a).exists() else os.stat(a))
    with pytest.raises(OSError, match=rf"cannot write .*/{fails_at}: Operation not permitted"):
        write_together(tmp_path, 3)
    assert names(tmp_path) == ["0", "2"]
    assert {(tmp_path / name).read_bytes() for name in ("0", "2")} == {b"old"}


def test_a_folder_in_the_place_of_a_file_is_seen_before_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(OSError, match=r"cannot write .*/1: it is a folder"):
        write_together(tmp_path, 2)
    assert names(tmp_path) == ["1"]


def test_what_stands_in_the_way_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert why_not_writable(tmp_path).startswith("is a folder")
    assert why_not_writable(tmp_path / "file") == ""
    assert why_not_writable(tmp_path / "a" / "b" / "new") == ""
    assert why_not_writable(Path("new")) == ""
    assert why_not_writable(tmp_path / "pipe").startswith("is no regular file")
    assert why_not_writable(Path("/dev/full")).startswith("is no regular file")
    assert "/file is no folder" in why_not_writable(tmp_path / "file" / "a" / "b")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # of root too
    assert f"{tmp_path} is read-only" in why_not_writable(tmp_path / "new" / "a")
