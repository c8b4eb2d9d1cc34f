"""Downloads: whole and checked, broken off and gone on with, or not there."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Served, serving

from dnamamba import fetching
from dnamamba.fetching import Checksum, Cut, fetch

pytest.importorskip("pooch")

CONTENT = bytes(range(256)) * 40
MD5 = Checksum("md5", hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)
    with serving() as served:
        served.files["/f"] = CONTENT
        yield served


def _bsd(path: Path, content: bytes) -> Checksum:
    path.write_bytes(content)
    printed = subprocess.run(["sum", "-r", path], capture_output=True, text=True, check=True)
    return Checksum("sum", str(int(printed.stdout.split()[0])))


def test_a_file_is_fetched_once(tmp_path: Path, served: Served) -> None:
    shown: list[tuple[int, int]] = []
    target = tmp_path / "folder" / "f"
    for _ in range(2):
        fetch(f"{served.address}/f", target, MD5, "x", lambda *at: shown.append(at))
        assert target.read_bytes() == CONTENT
    assert served.asked == [("/f", "")]
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    assert not (tmp_path / "folder" / "f.part").exists()


@pytest.mark.parametrize("kind", ["md5", "sum", "none"])
def test_what_breaks_off_is_gone_on_with(tmp_path: Path, served: Served, kind: str) -> None:
    sums = {"md5": MD5, "sum": _bsd(tmp_path / "s", CONTENT), "none": None}
    served.most = 4000
    fetch(f"{served.address}/f", tmp_path / "f", sums[kind], "x")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert [span for _, span in served.asked] == ["", "bytes=4000-", "bytes=8000-"]


def test_another_run_goes_on(tmp_path: Path, served: Served) -> None:
    (tmp_path / "f.part").write_bytes(CONTENT[:5000])
    fetch(f"{served.address}/f", tmp_path / "f", MD5, "x")
    assert served.asked == [("/f", "bytes=5000-")]
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_a_part_that_is_whole_or_longer(tmp_path: Path, served: Served, part: bytes) -> None:
    (tmp_path / "f.part").write_bytes(part)
    fetch(f"{served.address}/f", tmp_path / "f", MD5, "x")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_server_without_ranges_begins_again(tmp_path: Path, served: Served) -> None:
    served.ranges = False
    (tmp_path / "f.part").write_bytes(CONTENT[:5000])
    fetch(f"{served.address}/f", tmp_path / "f", MD5, "x")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_what_comes_no_further_is_kept(tmp_path: Path, served: Served) -> None:
    served.most = 0
    (tmp_path / "f.part").write_bytes(CONTENT[:5000])
    with pytest.raises(Cut, match="broke off after 5,000 bytes of 10,240; start it again to go on"):
        fetch(f"{served.address}/f", tmp_path / "f", MD5, "x")
    assert (tmp_path / "f.part").read_bytes() == CONTENT[:5000]
    assert not (tmp_path / "f").exists()


def test_without_a_net_what_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(CONTENT[:5000])
    with pytest.raises(Cut, match="5,000 bytes are there"):
        fetch("http://127.0.0.1:9/f", tmp_path / "f", MD5, "x")
    assert (tmp_path / "f.part").read_bytes() == CONTENT[:5000]


@pytest.mark.parametrize("kind", ["md5", "sha256", "sum"])
def test_another_content_is_thrown_away(tmp_path: Path, served: Served, kind: str) -> None:
    with pytest.raises(ValueError, match=r"hash|sum is \d+, expected 7"):
        fetch(f"{served.address}/f", tmp_path / "f", Checksum(kind, "7"), "x")
    assert not (tmp_path / "f").exists()
    assert not (tmp_path / "f.part").exists()


def test_the_sum_of_bsd(tmp_path: Path) -> None:
    for content in (b"", b"\0", b"ACGT" * 999, CONTENT):
        assert _bsd(tmp_path / "c", content).value == Checksum("sum", "").of(tmp_path / "c")


def test_no_such_file(tmp_path: Path, served: Served) -> None:
    with pytest.raises(OSError, match="404"):
        fetch(f"{served.address}/none", tmp_path / "f", MD5, "x")
