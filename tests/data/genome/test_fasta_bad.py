"""Every bad FASTA known to this project: a clear error at once, or a stated policy.

A row's ``expected`` is a regular expression that the error must match, or the bases that must
come. What needs more than a file (kill, fork, a full disk) is in ``test_fasta_cache.py`` and
``test_fasta_processes.py``.
"""

import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from Bio import SeqIO, bgzf

from dnamamba.data.genome.fasta import Genome

Bases = dict[str, bytes]

TWO = b">a some words\nACGTacgt\nNNRYacgu\nAC\n>b\nTTTT\n"
TWO_BASES = {"a": b"ACGTacgtNNRYacguAC", "b": b"TTTT"}
LONG = b">a\n" + b"ACGTTGCAAC\n" * 50_000  # many bgzip blocks
LONG_BASES = {"a": b"ACGTTGCAAC" * 50_000}


def bgzip(text: bytes) -> bytes:
    packed = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=packed)
    writer.write(text)
    writer.flush()
    return packed.getvalue() + bgzf._bgzf_eof


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x40]) + content[middle + 1 :]


FILES: list[tuple[str, str, bytes, str | Bases]] = [
    # name, file name, content, expected
    ("plain", "g.fa", TWO, TWO_BASES),
    ("bgzip", "g.fa.gz", bgzip(LONG), LONG_BASES),
    ("gzip", "g.fa.gz", gzip.compress(LONG), LONG_BASES),
    ("gzip in two members", "g.fa.gz", gzip.compress(b">a\nAC\n") + gzip.compress(b"GT\n"),
     {"a": b"ACGT"}),
    ("gzip named .fa", "g.fa", gzip.compress(TWO), TWO_BASES),
    ("bgzip named .fa", "g.fa", bgzip(TWO), TWO_BASES),
    ("plain text named .gz", "g.fa.gz", TWO, TWO_BASES),
    ("plain text named .bz2", "g.fa.bz2", TWO, TWO_BASES),
    ("no ending", "genome", TWO, TWO_BASES),
    ("CRLF", "g.fa", TWO.replace(b"\n", b"\r\n"), TWO_BASES),
    ("no line end at the end", "g.fa", TWO[:-1], TWO_BASES),
    ("one line a record, no end", "g.fa", b">a\nACGT", {"a": b"ACGT"}),
    ("trailing blank lines", "g.fa", TWO + b"\n\n\n", TWO_BASES),
    ("trailing CRLF blank lines", "g.fa", TWO.replace(b"\n", b"\r\n") + b"\r\n" * 3, TWO_BASES),
    ("blank line between records", "g.fa", b">a\nAC\n\n>b\nGT\n", {"a": b"AC", "b": b"GT"}),
    ("blank line and comment first", "g.fa", b"\n; made by hand\n>a\nAC\n", {"a": b"AC"}),
    ("header of 1 MB", "g.fa", b">a " + b"x" * 1_000_000 + b"\nACGT\n", {"a": b"ACGT"}),
    ("UTF-8 header", "g.fa", ">a Müller\nACGT\n".encode(), {"a": b"ACGT"}),
    ("'>' in a header", "g.fa", b">a x>y\nACGT\n", {"a": b"ACGT"}),

    ("empty file", "g.fa", b"", r"g\.fa is empty"),
    ("white space only", "g.fa", b"\n \n\n", r"white space alone"),
    ("empty gzip", "g.fa.gz", gzip.compress(b""), r"g\.fa\.gz holds no text"),
    ("only a header", "g.fa", b">a\n", r"all 1 records are empty"),
    ("only headers", "g.fa", b">a\n>b\n\n>c", r"all 3 records are empty"),
    ("no header", "g.fa", b"ACGT\nACGT\n", r"starts with 'ACGT\\nACGT\\n'; expected FASTA"),
    ("no header in gzip", "g.fa.gz", gzip.compress(b"ACGT\n"), r"starts with 'ACGT"),
    ("FASTQ", "g.fa", b"@r\nACGT\n+\nIIII\n", r"FASTQ\?"),
    ("empty name", "g.fa", b">a\nAC\n>\nACGT\n", r"header without a name on line 3"),
    ("blank name", "g.fa", b">  \nACGT\n", r"header without a name on line 1"),
    ("duplicate names", "g.fa", b">a\nAC\n>b\nGT\n>a x\nTT\n",
     r"2 records are named 'a' \(sequences at bytes 3 and 17\)"),
    ("CR only", "g.fa", b">a\rACGT\rACGT\r", r"CR alone"),
    ("CR only, two records", "g.fa", b">a\rACGT\r>b\rACGT\r", r"CR alone"),
    ("CR inside a line", "g.fa", b">a\nAC\rGT\nACGGT\n", r"record 'a', near its line 1"),
    ("two CR before LF", "g.fa", b">a\nACGT\r\r\nACGT\r\r\n", r"record 'a', (near its )?line 1"),
    ("CR before a header", "g.fa", b">a\nACGT\nAC\r>b\nACGT\n", r"a, position 6|record 'a', near"),
    ("text between comment and header", "g.fa", b"; c\nACGT\n>a\nAC\n",
     r"g\.fa, line 2: 'ACGT' stands before the first header"),
    ("a comment alone", "g.fa", b"; made by hand\n", r"g\.fa has no header line"),

    ("truncated bgzip", "g.fa.gz", bgzip(LONG)[:-1000], r"g\.fa\.gz.*truncated"),
    ("bgzip without its last block", "g.fa.gz", bgzip(LONG)[:-28],
     r"g\.fa\.gz is truncated: the block that ends a bgzip file is missing"),
    ("truncated gzip", "g.fa.gz", gzip.compress(LONG)[:-100], r"truncated or damaged gzip data"),
    ("gzip of two bytes", "g.fa.gz", b"\x1f\x8b", r"truncated or damaged gzip data"),
    ("flipped byte in bgzip", "g.fa.gz", flipped(bgzip(LONG)), r"truncated or damaged gzip data"),
    ("flipped byte in gzip", "g.fa.gz", flipped(gzip.compress(LONG)), r"truncated or damaged"),
    ("text behind gzip", "g.fa.gz", gzip.compress(TWO) + b"ACGT", r"truncated or damaged"),
    ("bzip2", "g.fa", b"BZh91AY&SY", r"compressed with bzip2"),
    ("zip", "g.fa", b"PK\x03\x04....", r"compressed with zip"),
    ("xz", "g.fa", b"\xfd7zXZ\0", r"compressed with xz"),
    ("zstd", "g.fa", b"\x28\xb5\x2f\xfd..", r"compressed with zstd"),

    ("UTF-16", "g.fa", ">a\nACGT\n".encode("utf-16"), r"UTF-16 byte-order mark"),
    ("UTF-16 without mark", "g.fa", ">a\nACGT\n".encode("utf-16-le"), r"UTF-16"),
    ("UTF-16, big end first", "g.fa", ">a\nACGT\n".encode("utf-16-be"), r"UTF-16"),
    ("byte-order mark behind the start", "g.fa", b">a\nAC\n\xef\xbb\xbf>b\nAC\n",
     r"a, position 2 .*byte 0xef"),
    ("latin-1 header", "g.fa", ">b\nAC\n>a Müller\nACGT\n".encode("latin-1"),
     r"header on line 3 is not UTF-8 \(byte 0xfc\)"),
    ("byte 0xff in bases", "g.fa", b">a\nACGT\nAC\xffT\n", r"a, position 6 \(0-based\): byte 0xff"),
    ("UTF-8 letter in bases", "g.fa", ">a\nACGT\nACÄ\n".encode(), r"a, position 6 .*byte 0xc3"),
    ("NUL bytes at the end", "g.fa", TWO + b"\0" * 112,
     r"g\.fa: its last 112 bytes are NUL, from byte 43 on: a copy that was cut short\?"),
    ("NUL bytes at the end of gzip's text", "g.fa.gz", gzip.compress(TWO + b"\0" * 5),
     r"g\.fa\.gz: its last 5 bytes are NUL"),
    ("NUL in bases", "g.fa", b">a\n" + b"ACGT\n" * 20 + b"AC\0T\n", r"a, position 82 .*NUL"),
    ("protein", "g.fa", b">p\nMKVLAA\n", r"p, position 3 \(0-based\): 'L'.*protein"),
    ("stop", "g.fa", b">a\nAC\n>b\nACG*\n", r"b, position 3 .*'\*' is no nucleotide"),
    ("gap", "g.fa", b">a\nAC-T\n", r"a, position 2 .*'-' is a gap"),
    ("dot", "g.fa", b">a\nAC.T\n", r"a, position 2 .*'\.' is a gap"),
    ("digit", "g.fa", b">a\nACGT\nAC1T\n", r"a, position 6 .*'1' is no nucleotide"),
    ("space", "g.fa", b">a\nAC T\n", r"a, position 2 .*' ' is no nucleotide"),
    ("tab", "g.fa", b">a\nAC\tT\n", r"a, position 2 .*byte 0x09"),
    ("spaces, where they may mean a missing base", "g.fa", b">a\nACGT\n    \nACGT\n",
     r"a, position 4 .*' ' is no nucleotide.*remove white space from the bases \(sed"),
    ("trailing space", "g.fa", b">a\nACGT \nACGT \n", r"a, position 4 .*' '"),
    ("'>' inside a line", "g.fa", b">a\nACGT>b\nACGT\n", r"a, position 4 .*line end missing"),
    ("comment inside", "g.fa", b">a\nACGT\n;x\n", r"a, position 4 .*';'"),
]  # fmt: skip


# What a parser reads, and by lines of one width cannot be found: name, content, its bases, and
# what is said of it where there is no room for the cache.
IRREGULAR: list[tuple[str, bytes, Bases, str]] = [
    ("ragged lines", b">b\nAC\n>a\nACGT\nAC\nACGT\n", {"b": b"AC", "a": b"ACGTACACGT"},
     r"record 'a', line 5: all lines"),
    ("last line longer", b">a\nACGT\nACGTACGT\n>b\nTTTT\n", {"a": b"ACGTACGTACGT", "b": b"TTTT"},
     r"record 'a'.*one width"),
    ("last line longer by one", b">a\nACGT\nACGTA\n>b\nTTTT\n", {"a": b"ACGTACGTA", "b": b"TTTT"},
     r"record 'a'.*one width"),
    ("last line of all longer", b">a\nACGT\nACGTACGTACGT", {"a": b"ACGTACGTACGTACGT"},
     r"record 'a'.*one width"),
    ("blank line inside", b">a\nACGT\n\nACGT\n", {"a": b"ACGTACGT"},
     r"record 'a', line 3.*no blank line"),
    ("blank line first", b">a\n\nACGT\nACGT\n", {"a": b"ACGTACGT"}, r"record 'a', line 2"),
    ("two blank lines between", b">a\nACGT\n\n\n>b\nAC\n", {"a": b"ACGT", "b": b"AC"},
     r"record 'a', line 3"),
    ("mixed LF and CRLF", b">a\nACGT\r\nACGT\nACGT\r\n", {"a": b"ACGTACGTACGT"},
     r"record 'a', line 3"),
    ("all at once", b">r1\nACGTACGTAC\nGTAC\nACGTACGTAC\n\n>r2\r\nacRN\r\n\r\n\n",
     {"r1": b"ACGTACGTACGTACACGTACGTAC", "r2": b"acRN"}, r"record 'r1', line 3"),
    ("UTF-8 byte-order mark", b"\xef\xbb\xbf>a\nACGT\nAC\n", {"a": b"ACGTAC"},
     r"UTF-8 byte-order mark, and there is no room"),
    ("byte-order mark before a comment", b"\xef\xbb\xbf; c\n\n>a\nACGT\n", {"a": b"ACGT"},
     r"UTF-8 byte-order mark, and there is no room"),
]  # fmt: skip


# Where the index says the same in other words.
BY_INDEX = {
    "CR before a header": r"record 'a', line 3",
    "text between comment and header": r"g\.fa at line 2",
    "a comment alone": r"g\.fa does not contain a valid sequence",
    "byte-order mark behind the start": r"record 'a', line 3",
}


@pytest.mark.parametrize(
    ("file", "content", "expected"), [row[1:] for row in FILES], ids=[row[0] for row in FILES]
)
def test_file(tmp_path: Path, file: str, content: bytes, expected: str | Bases) -> None:
    path = tmp_path / "genomes" / file
    path.parent.mkdir()
    path.write_bytes(content)
    check(path, tmp_path / "cache", expected)
    assert [p.name for p in path.parent.iterdir()] == [file]  # nothing beside the user's file


PLAIN = [row for row in FILES if not row[2].startswith(b"\x1f\x8b")]


@pytest.mark.filterwarnings("ignore:.*no room for its cache")
@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [(*row[1:3], BY_INDEX.get(row[0], row[3])) for row in PLAIN],
    ids=[row[0] for row in PLAIN],
)
def test_file_without_room(
    tmp_path: Path, no_room: None, file: str, content: bytes, expected: str | Bases
) -> None:
    test_file(tmp_path, file, content, expected)


@pytest.mark.parametrize(
    ("content", "bases", "refusal"), [r[1:] for r in IRREGULAR], ids=[r[0] for r in IRREGULAR]
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_irregular_lines_are_parsed_into_the_cache(
    tmp_path: Path, content: bytes, bases: Bases, refusal: str, packed: bool
) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(gzip.compress(content) if packed else content)
    check(path, tmp_path / "cache", bases)
    if b";" not in content:  # Biopython knows no comments
        read = SeqIO.parse(io.StringIO(content.decode("utf-8-sig")), "fasta")
        assert {record.id: bytes(record.seq) for record in read} == bases


@pytest.mark.parametrize(
    ("content", "bases", "refusal"), [r[1:] for r in IRREGULAR], ids=[r[0] for r in IRREGULAR]
)
def test_irregular_lines_without_room(
    tmp_path: Path, no_room: None, content: bytes, bases: Bases, refusal: str
) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    check(path, tmp_path / "cache", refusal)


def check(path: Path, cache: Path, expected: str | Bases) -> None:
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected) as caught:
            Genome(path, cache)
        assert str(path) in str(caught.value)
        left = [p.suffix for p in cache.iterdir()] if cache.is_dir() else []
        assert set(left) <= {".lock"}
        return
    for genome in (Genome(path, cache), Genome(path, cache)):  # just built, then from the cache
        assert {c: genome.fetch(c, 0, n) for c, n in genome.contigs.items()} == expected
        genome.verify()


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def missing(folder: Path) -> Path:
    return folder / "g.fa"


def directory(folder: Path) -> Path:
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "g.fa")
    return folder / "g.fa"


def link(folder: Path) -> Path:
    (folder / "store").mkdir()
    (folder / "store" / "real.fa").write_bytes(TWO)
    (folder / "g.fa").symlink_to("store/real.fa")
    return folder / "g.fa"


def broken_link(folder: Path) -> Path:
    (folder / "g.fa").symlink_to("nowhere.fa")
    return folder / "g.fa"


def below_a_file(folder: Path) -> Path:
    (folder / "g").write_bytes(TWO)
    return folder / "g" / "g.fa"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (missing, r"cannot read FASTA .*No such file"),
        (directory, r"is a directory; expected a FASTA file"),
        (pipe, r"is no regular file"),
        (link, TWO_BASES),
        (broken_link, r"cannot read FASTA .*No such file"),
        (below_a_file, r"cannot read FASTA .*Not a directory"),
    ],
)
def test_place(tmp_path: Path, make: Callable[[Path], Path], expected: str | Bases) -> None:
    folder = tmp_path / "genomes"
    folder.mkdir()
    check(make(folder), tmp_path / "cache", expected)


def fai(name: str, length: int, offset: int, line: int) -> bytes:
    return f"{name}\t{length}\t{offset}\t{line}\t{line + 1}\n".encode()


@pytest.mark.parametrize("age", [-1000, 1000], ids=["index newer", "index older"])
@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"a\t18",
        b"not an index\n",
        fai("a", 18, 14, 8),
        fai("a", 18, 0, 8) + fai("b", 4, 3, 4),
        fai("a", 1 << 40, 14, 8) + fai("b", 4, 1 << 40, 4),
        fai("a", 18, 14, 0) + fai("b", 4, 39, 0),
        fai("old", 7, 5, 7),
    ],
    ids=["empty", "partial", "garbage", "partial records", "wrong offsets", "beyond the end",
         "no line width", "of another file"],
)  # fmt: skip
def test_foreign_index(tmp_path: Path, index: bytes, age: int) -> None:
    path, beside = tmp_path / "g.fa", tmp_path / "g.fa.fai"
    path.write_bytes(TWO)
    beside.write_bytes(index)
    seconds = path.stat().st_mtime - age
    os.utime(beside, (seconds, seconds))
    check(path, tmp_path / "cache", TWO_BASES)
    assert beside.read_bytes() == index


def test_empty_records_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(b">empty\n>a\nACGT\n>hollow\n\n>b\nGG\n>last\n")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"3 of 5 records are empty .*first: 'empty'"):
            genome = Genome(path, tmp_path / "cache")
        assert genome.contigs == {"a": 4, "b": 2}
        assert genome.fetch("b", 0, 2) == b"GG"


@pytest.mark.parametrize(
    ("contig", "start", "end", "expected"),
    [
        ("chr1", 2, 6, b"GTac"),
        ("chr1", np.int64(2), np.int64(6), b"GTac"),
        ("chr1", np.uint8(2), np.int32(6), b"GTac"),
        ("chr1", 0, 8, b"ACGTacgt"),
        ("chr1", 7, 8, b"t"),
        ("chr1", 0, 9, r"g chr1:0-9 .*contig of 8 bases"),
        ("chr1", 8, 9, r"g chr1:8-9 .*contig of 8 bases"),
        ("chr1", -1, 4, r"g chr1:-1-4 "),
        ("chr1", 4, 4, r"g chr1:4-4 .*start < end"),
        ("chr1", 5, 4, r"g chr1:5-4 "),
        ("chr1", 0, 1 << 70, r"contig of 8 bases"),
        ("chr1", 0.0, 4, r"must be integers, got 0\.0"),
        ("chr1", "0", 4, r"must be integers"),
        ("chr1", None, 4, r"must be integers"),
        ("1", 0, 4, r"no contig '1'; did you mean 'chr1'\? .*prefix 'chr'"),
        ("chrMT", 0, 4, r"no contig 'chrMT'; did you mean 'MT'\? .*prefix 'chr'"),
        ("Scaffold_1", 0, 4, r"did you mean 'scaffold_1'"),
        ("Zea", 0, 4, r"known are chr1, MT, scaffold_1"),
        (1, 0, 4, r"no contig '1'; did you mean 'chr1'"),
    ],
)  # fmt: skip
def test_request(tmp_path: Path, contig: str, start: int, end: int, expected: str | bytes) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(b">chr1\nACGTacgt\n>MT\nACGT\n>scaffold_1\nACGT\n")
    genome = Genome(path, tmp_path / "cache")
    if isinstance(expected, bytes):
        assert genome.fetch(contig, start, end) == expected
    else:
        with pytest.raises(ValueError, match=expected):
            genome.fetch(contig, start, end)
