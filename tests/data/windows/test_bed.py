"""BED rows as they stand, and every bad one by file, line and remedy."""

import gzip
from pathlib import Path

import pytest

from dnamamba.data.windows.bed import read_bed
from dnamamba.data.windows.regions import Contigs

CONTIGS = Contigs.of({"g": {"chr1": 1000, "chr2": 500}})


def read(tmp_path: Path, text: str):
    path = tmp_path / "some.bed"
    path.write_text(text)
    return read_bed(path, CONTIGS)


@pytest.mark.parametrize(
    "text",
    [
        "chr1\t10\t20\nchr2\t0\t500\n",
        "chr1\t10\t20\tname\t0\t+\nchr2\t0\t500\tother\n",
        "chr1 10 20\nchr2   0 500",
        "# a comment\ntrack name=x\nbrowser position chr1\n\nchr1\t10\t20\n\nchr2\t0\t500\n",
        "chrom\tstart\tend\nchr1\t10\t20\nchr2\t0\t500\n",
        "#chrom\tchromStart\tchromEnd\nchr1\t10\t20\nchr2\t0\t500\n",
        "chr1\t10\t20\r\nchr2\t0\t500\r\n",
        "g:chr1\t10\t20\ng:chr2\t0\t500\n",
        "\ufeffchr1\t10\t20\nchr2\t0\t500\n",
    ],
)
def test_good(tmp_path: Path, text: str) -> None:
    rows = read(tmp_path, text)
    assert [tuple(map(int, row)) for row in zip(*rows.regions, strict=True)] == [
        (0, 10, 20),
        (1, 0, 500),
    ]
    lines = text.splitlines()
    assert [lines[n - 1].split()[1] for n in rows.lines] == ["10", "0"]


def test_compressed(tmp_path: Path) -> None:
    path = tmp_path / "some.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t10\t20\n"))
    assert read_bed(path, CONTIGS).regions.bases == 10


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1\t10\t20", "no genome has a contig '1'; did you mean 'chr1'.*chr1 and 1 differ"),
        ("chrX\t10\t20", "no genome has a contig 'chrX'"),
        ("chr1\t20\t20", "start 20 is not below end 20.*half-open"),
        ("chr1\t30\t20", "start 30 is not below end 20"),
        ("chr1\t-5\t20", "-5-20 is out of range: 'chr1' has 1,000 bases"),
        ("chr1\t10\t1001", "10-1001 is out of range.*another version"),
        ("chr1\t10.0\t20", "start must be an integer without separators, got '10.0'"),
        ("chr1\t10\t1,000", "end must be an integer without separators, got '1,000'"),
        ("chr1\t10\t\t20", "end must be an integer without separators, got ''"),
        ("chr1\tten\t20", "start must be an integer"),
        ("chr1\t1_0\t20", "start must be an integer"),
        ("chr1\t١\t20", "start must be an integer"),
        ("chr1\t10", r"expected contig, start and end parted by tabs, got 2 column\(s\)"),
        ("chr1:10-20", r"expected.*got 1 column\(s\): 'chr1:10-20'"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"some.bed, line 3: {message}"):
        read(tmp_path, f"# comment\nchr1\t1\t2\n{row}\nchr1\t3\t4\n")


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*none\.bed"):
        read_bed(tmp_path / "none.bed", CONTIGS)
    with pytest.raises(ValueError, match=r"some\.bed is empty"):
        read(tmp_path, "")
