"""BED rows as they stand, and every bad one by file, line and remedy."""

import gzip
from pathlib import Path

import pytest

from dnamamba.data.windows.bed import bed_rows, parse_region, read_bed
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
        ("ch1\t10\t20", "no genome has a contig 'ch1'; did you mean 'chr1'"),
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


@pytest.mark.parametrize(
    ("row", "name", "strand"),
    [
        # tabs part the columns, and a name may hold blanks
        ("chr1\t10\t100\tmy gene\t0\t-", "my gene", "-"),
        ("chr1\t10\t100\tmy - gene\t0\t+", "my - gene", "+"),
        ("chr1\t10\t100\tmy gene", "my gene", ""),
        ("chr1\t10\t100\t\t\t-", "", "-"),
        ("chr1\t10\t100\t0.5", "0.5", ""),  # bedGraph
        ("chr1\t10\t100\tg\t0\t-\t10\t100\t0,0,0\t2\t9,9,\t0,81,", "g", "-"),  # BED12
        # white space does
        ("chr1 10 100 g 0 -", "g", "-"),
        ("chr1   10 100  g   .  .", "g", "."),
        ("chr1 10 100 g 1e-5 +", "g", "+"),
        ("chr1 10 100 g", "g", ""),
        ("chr1 10 100 g 7", "g", ""),
        ("chr1 10 100", "", ""),
        ("chr1 10 100 0.5", "0.5", ""),
        ("chr1 10 100 g 0 - 10 100 0,0,0 2 9,9, 0,81,", "g", "-"),
        # and a name holds some, too
        ("chr1 10 100 my gene 0 -", "my gene", "-"),
        ("chr1 10 100 my very own gene 1000 +", "my very own gene", "+"),
        ("chr1 10 100 HLA class 2 0 -", "HLA class 2", "-"),
        ("chr1 10 100 my gene", "my gene", ""),
        ("chr1 10 100 my gene 0", "my gene", ""),
        # which of these is the strand, nobody knows
        ("chr1 10 100 a - b", "a - b", "a - b"),
        ("chr1 10 100 my gene 0 - more", "my gene 0 - more", "my gene 0 - more"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["LF", "CRLF", "no line end"])
def test_names_and_strands(tmp_path: Path, row: str, name: str, strand: str, end: str) -> None:
    path = tmp_path / "some.bed"
    path.write_bytes((row + end).encode())
    assert list(bed_rows(path, CONTIGS)) == [(1, 0, 10, 100, name, strand)]
    assert read_bed(path, CONTIGS).regions.bases == 90  # for which the strand is no matter


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("chr1\t10\t20\n".encode("utf-16-le"), r"some\.bed has NUL bytes; is it binary or UTF-16"),
        (b"chr1\t10\t20\n\0\0\0\0", r"some\.bed, line 2 has NUL bytes: a copy that was cut"),
        (b"chr1\t10\t20\rchr1\t30\t40\r", r"some\.bed has lines that end in CR alone"),
        (b"chr1\t10\t" + b"9" * 5000, r"some\.bed, line 1: end must be an integer"),
        (b"chr1\t-\t20", r"some\.bed, line 1: start must be an integer"),
        (
            gzip.compress(b"chr1\t10\t20\n" * 9999, mtime=0)[:-20],
            r"some\.bed: truncated or damaged gzip",
        ),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "some.bed"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_bed(path, CONTIGS)


def test_a_file_of_headers_holds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "# comment\ntrack name=x\nbrowser hide all\n").regions.bases == 0


def test_contigs_by_other_names_are_said_once(tmp_path: Path) -> None:
    contigs = Contigs.of({"ref": {"chr1": 1000, "chrM": 500}})
    (path := tmp_path / "some.bed").write_text("1\t0\t9\nMT\t0\t9\n1\t5\t9\nref:1\t5\t9\n")
    said = "^ref spells contigs otherwise: '1' is read as 'chr1', others likewise$"
    with pytest.warns(UserWarning, match=said) as warned:
        rows = read_bed(path, contigs)
    assert len(warned) == 1
    assert rows.regions.contig.tolist() == [0, 1, 0, 0]
    assert parse_region("M:3-7", contigs).contig.tolist() == [1]


@pytest.mark.parametrize(
    ("genomes", "name", "message"),
    [
        ({"hg": {"chr1": 9}, "mm": {"chr1": 8}}, "1", "write hg:chr1 or mm:chr1"),
        ({"hg": {"chr1": 9}, "mm": {"NC_000067.7": 8}}, "1", "write hg:chr1 or mm:NC_000067.7"),
        ({"hg": {"chrM": 9, "MT": 8}}, "M", "it may be 'MT' or 'chrM'; write which"),
        ({"hg": {"chr1": 9}, "mm": {"chr1": 8}}, "mm:2", "no genome has a contig 'mm:2'"),
        ({"hg": {"chrM": 16_571}}, "MT", "'chrM' is GRCh37's NC_001807.4 .*another sequence"),
    ],
)
def test_other_names_that_are_not_certain(
    genomes: dict[str, dict[str, int]], name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        parse_region(f"{name}:0-5", Contigs.of(genomes))


def test_a_name_of_two_genomes_is_read_where_it_is_meant() -> None:
    contigs = Contigs.of({"hg": {"chr1": 9}, "mm": {"chr1": 8}})
    with pytest.warns(UserWarning, match="mm spells contigs otherwise"):
        assert parse_region("mm:1:0-5", contigs).contig.tolist() == [1]
    contigs = Contigs.of({"hg19": {"chrM": 16_571}, "own": {"chrM": 9}})
    with pytest.warns(UserWarning, match="^own spells .* 'MT' is read as 'chrM', others likewise$"):
        assert parse_region("MT:0-5", contigs).contig.tolist() == [1]
