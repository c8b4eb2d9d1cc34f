"""One bad line among millions: an error that says how to go on, or counted, named and left out."""

import re
import subprocess
from pathlib import Path

import pytest
from vcf_cases import BAD, GOOD, HEADER, row, write

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants.checks import VariantChecks
from dnamamba.data.variants.record import read_variants

LENIENT = {"mismatch": "skip", "unknown_contig": "skip", "malformed": "skip"}
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

# name, the line (bytes where it is no text)
LINES: list[tuple[str, str | bytes]] = [
    *((name, line) for name, line, _ in BAD if isinstance(line, str) and name != "second header"),
    ("IUPAC code in REF", row(1, "M", "G")),
    ("IUPAC code in ALT", row(1, "A", "R")),
    ("not UTF-8", row(1, "A", "C", id="caf\xe9").encode("latin-1")),
    ("not UTF-8 in a contig", row(1, "A", "C", contig="chr\xff").encode("latin-1")),
    ("not UTF-8 in INFO", row(1, "A", "C", "AF=\xe9").encode("latin-1")),
    ("position of many digits", row("9" * 5000, "A", "C")),
    ("position beyond any genome", row(10**30, "A", "C")),
    ("position in other digits", row("\u0661", "A", "C")),
    ("position with blanks", row(" 1", "A", "C")),
    ("brackets alone", row(1, "A", "]")),
    ("a bracket alone", row(1, "A", "[")),
    ("a place of no number", row(1, "A", "A[chr2:x[")),
    ("nothing but tabs and a dot", "\t\t\t\t\t\t\t.\n"),
    ("header again", "##fileformat=VCFv4.2\n"),
    ("AF twice too often", row(1, "A", "C", "AF=0.1,0.2")),
]


@pytest.mark.parametrize("line", [r[1] for r in LINES], ids=[r[0] for r in LINES])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_flag_that_the_error_names_leaves_the_line_out(
    line: str | bytes,
    end: bytes,
    genome: Genome,
    tmp_path: Path,
) -> None:
    raw = line.encode() if isinstance(line, str) else line
    content = (HEADER + GOOD).encode() + raw + GOOD.encode()
    path = write(tmp_path, content.replace(b"\n", end))
    with pytest.raises(ValueError, match=r"v\.vcf, line 9: .*checks\.\w+=skip") as caught:
        list(read_variants(path, genome, info="AF"))
    flag = re.search(r"checks\.(\w+)=skip", str(caught.value))
    assert flag
    with pytest.warns(UserWarning, match=r"left out records or alleles: 1 .* \(line 9\)$"):
        found = list(read_variants(path, genome, VariantChecks(**{flag[1]: "skip"}), info="AF"))
    assert [variant.line for variant in found] == [8, 10]


def test_a_second_header_is_left_out_line_by_line(genome: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + GOOD + HEADER + GOOD)  # cat a.vcf b.vcf
    with pytest.warns(
        UserWarning, match=r"7 that break the format \(lines 9, 10, 11, 12, 13, \.\.\.\)"
    ):
        found = list(read_variants(path, genome, VariantChecks(**LENIENT)))
    assert [variant.line for variant in found] == [8, 16]


# Of the header, only what is asked for may stop a file.
HEADER_LINES: list[tuple[str, bytes]] = [
    ("contig in Python's words", b"##contig={'length': '249250621', 'ID': 'chr1'}"),
    ("contig without end", b"##contig=<ID=chr1"),
    ("contig with a length of no number", b"##contig=<ID=chr1,length=many>"),
    ("quote without end", '##INFO=<ID=E,Number=A,Type=String,Description="xé)'.encode()),
    ("INFO without ID", b'##INFO=<Number=A,Type=String,Description="x">'),
    ("INFO of no type", b'##INFO=<ID=X,Number=A,Type=Text,Description="x">'),
    ("INFO of no number", b'##INFO=<ID=X,Number=many,Type=String,Description="x">'),
    ("FORMAT damaged", b"##FORMAT=<<>"),
    ("FILTER damaged", b"##FILTER=<ID=,"),
    ("latin-1", "##source=Müller".encode("latin-1")),
    ("no value", b"##nothing"),
    ("nothing", b"##"),
    ("comment", b"# made by hand"),
    ("blank", b""),
    ("the same twice", b'##INFO=<ID=AF,Number=1,Type=Float,Description="second">'),
    ("version of tomorrow", b"##fileformat=VCFv9.9"),
    ("META", b"##META=<ID=x,Type=String,Number=.,Values=[a, b>"),
    ("SAMPLE", b"##SAMPLE=<ID=>"),
    ("ALT", b"##ALT=ID=DEL"),
    ("PEDIGREE", b"##PEDIGREE"),
    ("AF in the words of another", b'##INFO=<ID=Z,Number=1,Type=String,Description="ID=AF,">'),
]


@pytest.mark.parametrize("line", [r[1] for r in HEADER_LINES], ids=[r[0] for r in HEADER_LINES])
def test_a_header_line_that_is_not_needed_stops_nothing(
    line: bytes,
    genome: Genome,
    tmp_path: Path,
) -> None:
    before, _, columns = HEADER.partition("#CHROM")
    content = before.encode() + line + b"\n#CHROM" + columns.encode()
    path = write(tmp_path, content + row(1, "A", "C,G", "AF=0.5,0.25;E=x").encode())
    assert [v.info for v in read_variants(path, genome, info="AF")] == ["0.5", "0.25"]
    assert [v.alt for v in read_variants(path, genome)] == ["C", "G"]


@pytest.mark.parametrize("columns", ["#CHROM POS ID REF ALT QUAL FILTER INFO\n", "#CHROM\n"])
def test_the_names_of_the_columns_may_be_any(
    columns: str,
    genome: Genome,
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "##fileformat=VCFv4.2\n" + columns + GOOD)
    assert [v.alt for v in read_variants(path, genome)] == ["C"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('##fileformat=VCFv4.2\n##INFO=<ID=SIG,Number=A,Type=String,Description="x\n' + COLUMNS,
         r"v\.vcf, line 2: the header's definition of INFO SIG cannot be read .*\(sed '2d'\)"),
        ("##fileformat=VCFv4.2\n##INFO=<ID=SIG\n" + COLUMNS,
         r"v\.vcf, line 2: the header's definition of INFO SIG cannot be read .*\(sed '2d'\)"),
        (COLUMNS, r"v\.vcf: damaged VCF header: .*\(sed '1i ##fileformat=VCFv4\.2'\)"),
    ],
)  # fmt: skip
def test_the_remedy_for_a_header_works(
    content: str,
    message: str,
    genome: Genome,
    tmp_path: Path,
) -> None:
    path = write(tmp_path, content + row(1, "A", "C", "SIG=x"))
    with pytest.raises(ValueError, match=message) as caught:
        list(read_variants(path, genome, info="SIG"))
    command = re.search(r"\((sed '[^']*')\)", str(caught.value))
    assert command
    done = subprocess.run(command[1], shell=True, input=path.read_bytes(), capture_output=True)
    path.write_bytes(done.stdout)
    assert [v.info for v in read_variants(path, genome, info="SIG")] == ["x"]
