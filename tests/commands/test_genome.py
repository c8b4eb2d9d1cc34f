"""``dnamamba genome``: fetched by name from loopback, checked, gone on with, refused."""

import errno
import gzip
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from file_server import Served, serving

from dnamamba import fetching
from dnamamba.cli import main
from dnamamba.commands import genome as command
from dnamamba.data.genome.assemblies import named
from dnamamba.data.genome.fasta import Genome
from dnamamba.log_lines import SparseLines

pytest.importorskip("pooch")

FASTA = gzip.compress(b">chr1\n" + b"ACGTTGCA" * 4000 + b"\n", 0, mtime=0)
MD5 = hashlib.md5(FASTA).hexdigest()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server with hg38, which the table is made to name."""
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    with serving() as served:
        served.files = {"/u/hg38.fa.gz": FASTA, "/u/md5sum.txt": f"{MD5}  hg38.fa.gz\n".encode()}
        _name(monkeypatch, served.address)
        yield served


def _name(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    where = {"address": f"{address}/u/hg38.fa.gz", "checksums": f"{address}/u/md5sum.txt"}
    assembly = replace(named("hg38"), **where)  # type: ignore[type-var]
    monkeypatch.setattr(command, "named", lambda name: assembly if name == "hg38" else None)


def test_by_name_and_only_once(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cache" / "genomes" / "hg38.fa.gz"
    for _ in range(2):
        assert main(["genome", "hg38"]) == 0
        assert capsys.readouterr().out == f"{path}\n"
    assert [asked for asked, _ in served.asked] == ["/u/md5sum.txt", "/u/hg38.fa.gz"]
    assert path.read_bytes() == FASTA
    assert Genome("hg38").contigs == {"chr1": 32_000}


def test_a_download_is_spoken_of_in_a_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SparseLines", partial(SparseLines, quiet=0))
    assert main(["genome", "hg38"]) == 0
    assert "fetch hg38: 100 %, 0 of 0 MB, " in capsys.readouterr().err


def test_a_broken_download_is_gone_on_with(tmp_path: Path, served: Served) -> None:
    served.most = 20_000
    assert main(["genome", "hg38", "-o", str(tmp_path / "own.fa.gz")]) == 0
    assert [span for _, span in served.asked] == ["", "", "bytes=20000-"]
    assert (tmp_path / "own.fa.gz").read_bytes() == FASTA
    assert not (tmp_path / "cache" / "genomes").exists()


@pytest.mark.parametrize(
    ("listed", "fits"),
    [
        (f"{'0' * 32}  other.fa.gz\n{MD5} *hg38.fa.gz\n", True),
        (f"{MD5}  ./hg38.fa.gz\n", True),
        ("SUM hg38.fa.gz\n", True),
        (f"{'0' * 32}  hg38.fa.gz\n", False),
        ("4711 9 hg38.fa.gz\n", False),
    ],
)
def test_lists_of_checksums(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str], listed: str, fits: bool
) -> None:
    if listed.startswith("SUM"):
        (tmp_path / "s").write_bytes(FASTA)
        printed = subprocess.run(["sum", "-r", tmp_path / "s"], capture_output=True, text=True)
        listed = " ".join([*printed.stdout.split()[:2], "hg38.fa.gz"])
    served.files["/u/md5sum.txt"] = listed.encode()
    assert main(["genome", "hg38"]) == (0 if fits else 1)
    path = tmp_path / "cache" / "genomes" / "hg38.fa.gz"
    assert path.exists() == fits
    if not fits:
        error = capsys.readouterr().err
        assert "another checksum than" in error
        assert f"Get the file by hand and put it at {path}" in error


@pytest.mark.parametrize("listed", [b"", None])
def test_without_a_checksum_it_is_said(served: Served, listed: bytes | None) -> None:
    served.files.pop("/u/md5sum.txt")
    if listed is not None:
        served.files["/u/md5sum.txt"] = listed
    with pytest.warns(UserWarning, match="md5sum.txt says nothing of .*its length alone is check"):
        assert main(["genome", "hg38"]) == 0


def test_a_page_in_the_place_of_the_file_is_refused(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.files = dict.fromkeys(served.files, b"<html>Sign in</html>")
    with pytest.warns(UserWarning, match="its length alone is checked"):
        assert main(["genome", "hg38"]) == 1
    assert "what came is not compressed by gzip. Get the file by hand" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "genomes" / "hg38.fa.gz").exists()


def test_what_cannot_be_fetched_may_be_put_there_by_hand(
    tmp_path: Path,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "cache" / "genomes" / "hg38.fa.gz"
    by_hand = f"Get the file by hand and put it at {path}"
    served.files.pop("/u/hg38.fa.gz")
    assert main(["genome", "hg38"]) == 1
    error = capsys.readouterr().err
    assert "404" in error
    assert by_hand in error
    _name(monkeypatch, "http://127.0.0.1:9")
    assert main(["genome", "hg38"]) == 1
    error = capsys.readouterr().err
    assert by_hand in error
    assert len(error.splitlines()) == 1
    path.parent.mkdir(exist_ok=True, parents=True)
    path.with_suffix("").write_bytes(gzip.decompress(FASTA))
    assert main(["genome", "hg38"]) == 0
    assert capsys.readouterr().out == f"{path.with_suffix('')}\n"


def test_a_full_disk_is_no_fault_of_the_net(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "fetch", full)
    assert main(["genome", "hg38"]) == 1
    error = capsys.readouterr().err
    assert "cannot write" in error
    assert "make room, or name another place with -o or $DNAMAMBA_CACHE" in error


def test_another_file_is_not_written_over(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    (own := tmp_path / "own.fa.gz").write_bytes(b"mine")
    assert main(["genome", "hg38", "-o", str(own)]) == 1
    assert "exists and is not known to be hg38" in capsys.readouterr().err
    assert own.read_bytes() == b"mine"
    own.write_bytes(FASTA)
    assert main(["genome", "hg38", "-o", str(own)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hg83"], "no reference is called 'hg83'; did you mean hg38?"),
        ([], "name a reference, as hg38"),
        (["hg38", "hg38", "-o", "x.fa.gz"], "output is of one reference, got 2"),
        (["hg38", "-o", "/tmp"], "output /tmp is a folder"),
    ],
)
def test_mistakes(
    served: Served, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["genome", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not served.asked


def test_the_list(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    main(["genome", "hg38"])
    capsys.readouterr()
    assert main(["genome", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("hg38 ")).split()[:3] == [
        "hg38", "3,209", "chr1",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines if "at hand" in line] == ["hg38"]
