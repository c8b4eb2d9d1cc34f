"""Columns of tables: what reads, and what is refused with file, line and remedy."""

import csv
import gzip
import io
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from Bio import bgzf

from dnamamba.data.labelled import delimited
from dnamamba.data.labelled.examples import read_fasta
from dnamamba.data.labelled.tables import header_of, is_table, read_rows


def bgzip(text: bytes) -> bytes:
    packed = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=packed)
    writer.write(text)
    writer.flush()
    return packed.getvalue() + bgzf._bgzf_eof


PLAIN = b"id,sequence,label\na,ACGT,1\nb,GG,0\n"
ROWS = [("ACGT", "1"), ("GG", "0")]
LONG = b"sequence,label\n" + b"".join(b"%s,%d\n" % (b"ACGT" * 50, i) for i in range(5_000))

READ: list[tuple[str, str, bytes]] = [
    ("csv", "t.csv", PLAIN),
    ("tsv", "t.tsv", PLAIN.replace(b",", b"\t")),
    ("tab, upper case", "t.TAB", PLAIN.replace(b",", b"\t")),
    ("gzip", "t.csv.gz", gzip.compress(PLAIN)),
    ("bgzip", "t.csv.gz", bgzip(PLAIN)),
    ("gzip without .gz", "t.csv", gzip.compress(PLAIN)),
    ("plain text with .gz", "t.csv.gz", PLAIN),
    ("CRLF", "t.csv", PLAIN.replace(b"\n", b"\r\n")),
    ("no line end at the end", "t.csv", PLAIN[:-1]),
    ("blank lines", "t.csv", PLAIN.replace(b"b,", b"\n\nb,") + b"\n\n"),
    ("byte-order mark", "t.csv", b"\xef\xbb\xbf" + PLAIN.replace(b"id,", b"")
     .replace(b"a,", b"").replace(b"b,", b"")),
    ("UTF-16", "t.csv", PLAIN.decode().encode("utf-16")),
    ("UTF-16, big end first", "t.csv", b"\xfe\xff" + PLAIN.decode().encode("utf-16-be")),
    ("UTF-32", "t.csv", PLAIN.decode().encode("utf-32")),
    ("UTF-16 and gzip", "t.csv", gzip.compress(PLAIN.decode().encode("utf-16"))),
    ("byte-order mark and gzip", "t.csv", gzip.compress(b"\xef\xbb\xbf" + PLAIN)),
    ("semicolons", "t.csv", PLAIN.replace(b",", b";")),
    ("tabs in a .csv", "t.csv", PLAIN.replace(b",", b"\t")),
    ("commas in a .tsv", "t.tsv", PLAIN),
    ("bars", "t.csv", PLAIN.replace(b",", b"|")),
    ("spaces", "t.csv", PLAIN.replace(b",", b" ")),
    ("commas and spaces", "t.csv", PLAIN.replace(b",", b", ")),
    ("semicolons, quoted, CRLF", "t.csv",
     b'"id";"sequence";"label"\r\n"a;b";"ACGT";"1"\r\n"b";"GG";"0"\r\n'),
    ("a separator within a name", "t.csv", b"sequence,label,x;y;z\nACGT,1,q\nGG,0,q\n"),
    ("a separator within a field", "t.csv", b"sequence,label,note\nACGT,1,a;b;c\nGG,0,d|e\n"),
    ("Excel's word for its separator", "t.csv", b"sep=;\r\n" + PLAIN.replace(b",", b";")),
    ("blank lines above the header", "t.csv", b"\n  \n" + PLAIN),
    ("quotes", "t.csv", b'id,"sequence","label"\na,"ACGT","1"\nb,GG,0\n'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [r[1:] for r in READ], ids=[r[0] for r in READ])
def test_reads(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    rows = list(read_rows(tmp_path / name, ["sequence", "label"]))
    assert [row.values for row in rows] == ROWS
    assert is_table(tmp_path / name)


BAD: list[tuple[str, str, bytes, str]] = [
    ("empty", "t.csv", b"", r"t\.csv is empty"),
    ("another format", "t.xls", PLAIN, r"t\.xls is no table by its name; expected \.csv"),
    ("no such column", "t.csv", PLAIN.replace(b"label", b"lable"),
     r"t\.csv has no column 'label'; it has id, sequence, lable; did you mean 'lable'\?"),
    ("semicolons, no such column", "t.csv", b"seq;lable\nACGT;1\n",
     r"t\.csv has no column 'sequence'; it has seq, lable; did you mean 'seq'\?"),
    ("semicolons, too many fields", "t.csv", PLAIN.replace(b",", b";") + b"c;AA;1;1\n",
     r"line 4: 4 fields where the header has 3 \(id, sequence, label\); is the separator ';'\?"),
    ("blank lines alone", "t.csv", b"\n\n", r"t\.csv has no header: expected a line with seq"),
    ("column twice", "t.csv", b"sequence,label,label\nA,1,1\n", "2 columns are named 'label'"),
    ("too few fields", "t.csv", PLAIN + b"c,AA\n", r"t\.csv, line 4: 2 fields where the header"),
    ("too many fields", "t.csv", PLAIN + b"c,AA,1,1\n", r"line 4: 4 fields where the header has 3"),
    ("open quote", "t.csv", PLAIN + b'c,"AA,1\nd,GG,0\n', r"t\.csv, line \d: unexpected end"),
    ("open quote, many lines", "t.csv", PLAIN + b'c,"AA,1\n' + b"d,GG,0\n" * 1_001,
     r"t\.csv, line 4: a quote opens and is not closed within 1,000 lines"),
    ("colons", "t.csv", PLAIN.replace(b",", b":"),
     r"t\.csv: its columns are parted by ':', which is not looked for; put a line sep=: above"),
    ("colons, in quotes", "t.csv", b'"sequence":"label"\n"A":"1"\n', "parted by ':'"),
    ("carets in a .tsv", "t.tsv", PLAIN.replace(b",", b"^"), r"parted by '\^'"),
    ("tildes", "t.csv.gz", gzip.compress(PLAIN.replace(b",", b"~")), "parted by '~'"),
    ("a separator of bytes", "t.csv", PLAIN.replace(b",", b"\xc2\xa6"), "parted by '\u00a6'"),
    ("UTF-32 without its mark", "t.csv", PLAIN.decode().encode("utf-32-le"), r"UTF-32\? Convert"),
    ("CR alone", "t.csv", PLAIN.replace(b"\n", b"\r"), r"t\.csv, line 1: new-line character"),
    ("not UTF-8", "t.csv", PLAIN + b"c,AA,caf\xe9\n",
     r"t\.csv, line 4: byte 0xe9 is not UTF-8.*iconv"),
    ("UTF-16 without its mark", "t.csv", PLAIN.decode().encode("utf-16-le"),
     r"t\.csv has NUL bytes; .* UTF-16\?"),
    ("zip", "t.csv", b"PK\x03\x04rest", r"t\.csv is compressed with zip"),
    ("gzip cut off", "t.csv.gz", gzip.compress(LONG)[:-300],
     r"t\.csv\.gz: truncated or damaged gzip"),
    ("gzip with a wrong checksum", "t.csv.gz", gzip.compress(LONG)[:-8] + bytes(8),
     r"t\.csv\.gz: truncated or damaged gzip data after line 5,001 \(CRC check failed"),
    ("bgzip without its end", "t.csv.gz", bgzip(LONG)[:-28], r"t\.csv\.gz is truncated: the block"),
    ("Parquet that is none", "t.parquet", b"PAR1 nonsense", r"cannot read Parquet .*t\.parquet"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "expected"), [r[1:] for r in BAD], ids=[r[0] for r in BAD]
)
def test_refuses(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=expected):
        list(read_rows(tmp_path / name, ["sequence", "label"]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_without_end_is_refused(
    pack: Callable[[bytes], bytes], encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a bound, however long it is: memory does not grow with the line."""
    monkeypatch.setattr(delimited, "LONGEST_SEQUENCE_LINE", 1 << 20)
    path = tmp_path / "t.csv"
    path.write_bytes(pack(("sequence,label\nACGT,1\n" + "A" * (1 << 24)).encode(encoding)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"t\.csv, line 3 is longer than 1 MiB, the most"):
        list(read_rows(path, ["sequence"]))
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


@pytest.mark.parametrize("separator", [":", "^", "~", "!", "#", "@", "\u00a6"])
def test_the_remedy_for_another_separator_works(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(PLAIN.decode().replace(",", separator))
    with pytest.raises(ValueError, match="its columns are parted by") as caught:
        list(read_rows(path, ["sequence", "label"]))
    path.write_text(
        re.search(r"put a line (sep=.) above", str(caught.value))[1] + "\n" + path.read_text()
    )  # type: ignore[index]
    assert [row.values for row in read_rows(path, ["sequence", "label"])] == ROWS


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bgzip])
def test_the_remedy_for_lines_that_end_in_cr_works(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    for name, text, read in (
        ("t.csv", PLAIN, lambda path: [r.values for r in read_rows(path, ["sequence", "label"])]),
        ("t.fa", b">a\nACGT\nAC\n>b\nGG\n", lambda path: list(read_fasta(path))),
        ("t.fa", b">a b\nACGT\rAC\n>b\nGG\n", lambda path: list(read_fasta(path))),
    ):
        path = tmp_path / name
        path.write_bytes(pack(text.replace(b"\n", b"\r") if b"\r" not in text else text))
        with pytest.raises(ValueError, match=r"CR alone.*\(tr '\\r' '\\n'\)"):
            read(path)
        path.write_bytes(pack(text.replace(b"\r", b"\n")))
        assert len(read(path)) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*absent\.csv: No such file"):
        list(read_rows(tmp_path / "absent.csv", ["a"]))


def test_errors_name_the_line_behind_quoted_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('note,label\n"two\nlines",1\nx,0\n')
    assert [row.where for row in read_rows(path, ["label"])] == [
        f"{path}, line 3",
        f"{path}, line 4",
    ]


def test_a_field_may_be_as_long_as_a_contig(tmp_path: Path) -> None:
    """csv's own limit is 131,072 characters; it is given back afterwards."""
    before = csv.field_size_limit(131_072)
    path = tmp_path / "t.csv"
    path.write_text("sequence,label\n" + "ACGT" * 100_000 + ",1\n")
    (row,) = read_rows(path, ["sequence"])
    assert len(row.values[0]) == 400_000
    assert csv.field_size_limit(before) == 131_072


def test_parquet_reads_like_text(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {"n": [1, None], "x": [0.5, 2.0], "name": ["a", ""], "sequence": [b"ACGT", b"GG"]}
    pq.write_table(pa.table(columns), path)
    rows = list(read_rows(path, ["sequence", "n", "x", "name", "n"]))
    assert [row.values for row in rows] == [
        ("ACGT", "1", "0.5", "a", "1"),
        ("GG", "", "2.0", "", ""),
    ]
    assert rows[1].where == f"{path}, row 2"
    with pytest.raises(ValueError, match=r"no column 'sequences'.*did you mean 'sequence'"):
        list(read_rows(path, ["sequences"]))


def test_damage_that_parquet_can_tell(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"sequence": ["ACGT" + "ACGT"[i % 4] * i for i in range(300)]})
    pq.write_table(table, path, write_page_checksum=True, compression="none")
    whole = path.read_bytes()
    at = whole.index(b"ACGTCCCCCCCCC") + 8
    path.write_bytes(whole[:at] + b"G" + whole[at + 1 :])
    with pytest.raises(ValueError, match=r"cannot read Parquet .*t\.parquet: .*checksum"):
        list(read_rows(path, ["sequence"]))
    for cut in (0, 4, 11, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"cannot read Parquet .*t\.parquet: "):
            list(read_rows(path, ["sequence"]))


def test_what_parquet_cannot_hold_in_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"sequence": ["A"], "label": [["x", "y"]]}), path)
    with pytest.raises(ValueError, match=r"column 'label' holds list<.*> in each cell; expected"):
        list(read_rows(path, ["sequence", "label"]))
    assert [row.values for row in read_rows(path, ["sequence"])] == [("A",)]
    pq.write_table(pa.table({}), path)
    with pytest.raises(ValueError, match="has no column 'sequence'; it has none"):
        list(read_rows(path, ["sequence"]))


def test_bad_utf8_in_parquet_is_named(tmp_path: Path) -> None:
    good = [b"ACGT"] * 5_000
    column = pa.array([*good, b"AC\xff", b"GG"]).view(pa.string())
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"sequence": column, "label": range(5_002)}), path)
    expected = r"t\.parquet, column 'sequence', row 5001: byte 0xff is not UTF-8; write the table"
    with pytest.raises(ValueError, match=expected):
        list(read_rows(path, ["label", "sequence"]))


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dnamamba\[io\]'"):
        list(read_rows(tmp_path / "t.parquet", ["a"]))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet"])
def test_the_header_is_told_without_the_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"seq": ["A"], "y": [1]}), path)
    else:
        path.write_bytes(
            gzip.compress(b"seq;y\nA;1\n") if name.endswith(".gz") else b"seq;y\nA;1\n"
        )
    assert header_of(path, ["sequence", "seq", "label", "y"]) == ["seq", "y"]


def test_a_header_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n\n")
    with pytest.raises(ValueError, match=r"t\.csv has no header"):
        header_of(tmp_path / "t.csv", ["sequence"])
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"cannot read Parquet .*t\.parquet"):
        header_of(tmp_path / "t.parquet", ["sequence"])
