"""What an error advises works: the command it names is run, and the file is then read."""

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from Bio import SeqIO

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.pieces import intervals
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.text import text_lines
from dnamamba.data.variants import read_variants

COMMAND = re.compile(r"\(((?:sed|awk|tr|tail|iconv|seqkit) (?:'[^']*'|[^'()])+)\)")
Bases = dict[str, bytes]

FASTA: list[tuple[str, bytes, Bases]] = [
    ("CR alone", b">a\rACGT\rAC\r>b\rTT\r", {"a": b"ACGTAC", "b": b"TT"}),
    ("CR in a line", b">a\nACGT\rAC\n", {"a": b"ACGTAC"}),
    ("CR twice", b">a\r\r\nACGT\r\r\n", {"a": b"ACGT"}),
    ("UTF-16", ">a\nACGT\n".encode("utf-16"), {"a": b"ACGT"}),
    ("UTF-16 without mark", ">a\nACGT\n".encode("utf-16-le"), {"a": b"ACGT"}),
    ("UTF-16, big end first", ">a\nACGT\n".encode("utf-16-be"), {"a": b"ACGT"}),
    ("UTF-32", ">a\nACGT\n".encode("utf-32"), {"a": b"ACGT"}),
    ("UTF-32, little end first", ">a\nACGT\n".encode("utf-32-le"), {"a": b"ACGT"}),
    ("UTF-32, big end first", ">a\nACGT\n".encode("utf-32-be"), {"a": b"ACGT"}),
    ("UTF-32, with mark", b"\0\0\xfe\xff" + ">a\nACGT\n".encode("utf-32-be"), {"a": b"ACGT"}),
    ("latin-1", ">a Müller\nACGT\n".encode("latin-1"), {"a": b"ACGT"}),
    ("white space", b">a b\nAC GT \n \tAC\n", {"a": b"ACGTAC"}),
    ("gaps", b">a\nAC-GT\n", {"a": b"ACGT"}),
    ("FASTQ", b"@a\nACGT\n+\nIIII\n", {"a": b"ACGT"}),
    ("one name twice", b">a\nAC\n>a\nGT\n", {"a": b"AC", "a_2": b"GT"}),
]
WITHOUT_ROOM: list[tuple[str, bytes, Bases]] = [
    ("ragged", b">a\nACGT\nAC\nACGT\n", {"a": b"ACGTACACGT"}),
    ("longer at the end", b">a\nACGT\nACGTACGT\n", {"a": b"ACGTACGTACGT"}),
    ("blank lines", b">a\n\nACGT\n\n\nAC\n", {"a": b"ACGTAC"}),
    ("byte-order mark", b"\xef\xbb\xbf>a\nACGT\n", {"a": b"ACGT"}),
]
TEXT: list[tuple[str, bytes, list[str]]] = [
    ("UTF-16 without mark", "chr1\t1\t2\n".encode("utf-16-le"), ["chr1\t1\t2\n"]),
    ("UTF-16, big end first", "chr1\t1\t2\n".encode("utf-16-be"), ["chr1\t1\t2\n"]),
    ("UTF-32 without mark", "chr1\t1\t2\n".encode("utf-32-le"), ["chr1\t1\t2\n"]),
    ("UTF-32, big end first", "chr1\t1\t2\n".encode("utf-32-be"), ["chr1\t1\t2\n"]),
    ("latin-1", "chr1\t1\t2\té\n".encode("latin-1"), ["chr1\t1\t2\té\n"]),
]


BED: list[tuple[str, bytes]] = [
    ("CR alone", b"a\t1\t3\rb\t0\t2\r"),
    ("a strand that is none", b"a\t1\t3\tx\t0\t0.5\nb\t0\t2\tx\t0\t0.7\n"),
    ("a name with blanks", b"a 1 3 x - y\nb 0 2 x - z\n"),
]


def seqkit(arguments: list[str], text: str) -> str:
    """What seqkit does, where it is not installed, in Biopython's words."""
    records = list(SeqIO.parse(io.StringIO(text), "fastq" if arguments[0] == "fq2fa" else "fasta"))
    known: dict[str, int] = {}
    for record in records:
        if arguments == ["seq", "-g"]:
            record.seq = record.seq.replace("-", "")
        if arguments == ["rename"]:
            known[record.id] = number = known.get(record.id, 0) + 1
            record.id = record.id if number == 1 else f"{record.id}_{number}"
    return "".join(record.format("fasta") for record in records)


def mend(path: Path, message: str) -> None:
    named = COMMAND.search(message)
    assert named, f"no remedy in: {message}"
    command = named[1]
    if command.startswith("seqkit") and shutil.which("seqkit") is None:
        path.write_text(seqkit(shlex.split(command)[1:], path.read_text()))
        return
    done = subprocess.run(command, shell=True, input=path.read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    path.write_bytes(done.stdout)


def bases(genome: Genome) -> Bases:
    return {contig: genome.fetch(contig, 0, size) for contig, size in genome.contigs.items()}


@pytest.mark.parametrize(("text", "expected"), [r[1:] for r in FASTA], ids=[r[0] for r in FASTA])
def test_fasta(tmp_path: Path, text: bytes, expected: Bases) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"g\.fa") as caught:
        Genome(path, tmp_path / "cache")
    mend(path, str(caught.value))
    assert bases(Genome(path, tmp_path / "cache")) == expected


@pytest.mark.filterwarnings("ignore:.*no room for its cache")
@pytest.mark.parametrize(
    ("text", "expected"), [r[1:] for r in WITHOUT_ROOM], ids=[r[0] for r in WITHOUT_ROOM]
)
def test_fasta_without_room(
    tmp_path: Path, text: bytes, expected: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(text)
    full = tmp_path / "full"
    real = shutil.disk_usage

    def usage(folder: Path) -> object:
        return real(tmp_path)._replace(free=0) if full in Path(folder).parents else real(tmp_path)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(
        ValueError, match=r"make room, name another place with cache_dir or \$DNA"
    ) as caught:
        Genome(path, full / "cache")
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "roomy"))
    assert bases(Genome(path)) == bases(Genome(path, tmp_path / "other")) == expected
    mend(path, str(caught.value))
    assert bases(Genome(path, full / "cache")) == expected


@pytest.mark.parametrize(("text", "expected"), [r[1:] for r in TEXT], ids=[r[0] for r in TEXT])
def test_lines_of_text(tmp_path: Path, text: bytes, expected: list[str]) -> None:
    path = tmp_path / "some.bed"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"some\.bed") as caught:
        list(text_lines(path))
    mend(path, str(caught.value))
    assert list(text_lines(path)) == expected


@pytest.mark.parametrize("text", [row[1] for row in BED], ids=[row[0] for row in BED])
def test_bed(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "g.fa").write_bytes(b">a\nACGT\n>b\nACGT\n")
    genome, path = Genome(tmp_path / "g.fa"), tmp_path / "some.bed"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"some\.bed") as caught:
        intervals(genome, Tokenizer(), path)
    mend(path, str(caught.value))
    pieces = intervals(genome, Tokenizer(), path)
    regions = [(piece.contig, piece.start, piece.end) for piece in pieces]
    assert regions == [("a", 1, 3), ("b", 0, 2)]


def test_vcf(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_bytes(b">a\nACGT\n")
    genome, path = Genome(tmp_path / "g.fa"), tmp_path / "some.vcf"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    path.write_text(f"##fileformat=VCFv4.2\r{columns}\ra\t1\t.\tA\tC\t.\t.\t.\r")
    with pytest.raises(ValueError, match=r"some\.vcf has lines that end in CR alone") as caught:
        list(read_variants(path, genome))
    mend(path, str(caught.value))
    assert [variant.name for variant in read_variants(path, genome)] == ["a:1:A:C"]
