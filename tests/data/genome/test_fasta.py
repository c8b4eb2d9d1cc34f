"""``Genome``: the right bases, whatever the file's packing, line width and place of storage."""

import gzip
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pyfaidx
import pytest

from dnamamba.alphabet import LETTERS, Tokenizer
from dnamamba.data.genome import scan, source
from dnamamba.data.genome.fasta import Genome

STORES = ["cache", "index"]


def write_fasta(path: Path, contigs: dict[str, bytes], width: int, end: bytes = b"\n") -> Path:
    lines = bytearray()
    for name, bases in contigs.items():
        lines += b">" + name.encode() + b" words" + end
        for start in range(0, len(bases), width):
            lines += bases[start : start + width] + end
    path.write_bytes(lines)
    return path


def open_genome(path: Path, cache: Path, store: str) -> Genome:
    """From the cache, or, as if there were no room for one, from the FASTA by its index."""
    if store == "cache":
        return Genome(path, cache)
    with pytest.MonkeyPatch.context() as patch:
        usage = shutil.disk_usage(path.parent)._replace(free=0)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.warns(UserWarning, match="no room for its cache"):
            return Genome(path, cache)


def random_contigs(seed: int, sizes: list[int]) -> dict[str, bytes]:
    draw = random.Random(seed)
    return {f"chr{i}": bytes(draw.choices(LETTERS, k=n)) for i, n in enumerate(sizes, 1)}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("sample", ["hiv1.fa", "arabidopsis_chloroplast.fa"])
def test_real_genomes_equal_pyfaidx(samples: Path, tmp_path: Path, sample: str, store: str) -> None:
    genome = open_genome(samples / sample, tmp_path, store)
    index = tmp_path / "own.fai"
    draw = random.Random(0)
    with pyfaidx.Fasta(str(samples / sample), as_raw=True, indexname=str(index)) as truth:
        assert genome.contigs == {name: len(truth[name]) for name in truth.keys()}  # noqa: SIM118
        for contig, length in genome.contigs.items():
            for _ in range(200):
                start, end = sorted(draw.sample(range(length + 1), 2))
                assert genome.fetch(contig, start, end).decode() == truth[contig][start:end]


@pytest.fixture(params=[1 << 22, 1, 2, 3, 7, 61, 64])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The bytes read at a time while indexing, so small that every seam is met."""
    for module in (scan, source):
        monkeypatch.setattr(module, "BLOCK", request.param)
    return request.param


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("width", [1, 7, 60, 1000])
def test_every_window(tmp_path: Path, block: int, width: int, end: bytes, store: str) -> None:
    contigs = random_contigs(width, [1, 30, 60, 61, 300])
    genome = open_genome(
        write_fasta(tmp_path / "g.fa", contigs, width, end), tmp_path / "cache", store
    )
    assert genome.contigs == {name: len(bases) for name, bases in contigs.items()}
    draw = random.Random(block)
    for name, bases in contigs.items():
        assert genome.fetch(name, 0, len(bases)) == bases
        for _ in range(40):
            start, stop = sorted(draw.choices(range(len(bases) + 1), k=2))
            if start < stop:
                assert genome.fetch(name, start, stop) == bases[start:stop]
    genome.verify()


@pytest.mark.parametrize("store", STORES)
def test_strand(tmp_path: Path, store: str) -> None:
    path = write_fasta(tmp_path / "g.fa", {"a": b"AACGTNryUuacgt"}, 5)
    genome = open_genome(path, tmp_path / "cache", store)
    assert genome.fetch("a", 0, 4, "-") == b"CGTT"
    assert genome.fetch("a", 3, 14, "-") == b"acgtaAryNAC"
    assert genome.fetch("a", 3, 14, "+") == b"GTNryUuacgt"[:11]
    with pytest.raises(ValueError, match=r"strand must be '\+' or '-', got '\.'"):
        genome.fetch("a", 0, 4, ".")  # type: ignore[arg-type]


@pytest.mark.parametrize("store", STORES)
def test_batches(tmp_path: Path, store: str) -> None:
    contigs = random_contigs(0, [500, 80, 1000])
    genome = open_genome(write_fasta(tmp_path / "g.fa", contigs, 60), tmp_path / "cache", store)
    numbers = [0, 2, 1, 2, 0]
    starts = np.array([0, 900, 0, 5, 437])
    lengths = np.array([64, 100, 80, 0, 63], dtype=np.int32)
    out = np.zeros((5, 100), dtype=np.uint8)
    genome.read_into(numbers, starts, lengths, out)
    names = list(contigs)
    for row, number, start, length in zip(out, numbers, starts, lengths, strict=True):
        assert row[:length].tobytes() == contigs[names[number]][start : start + length]
        assert not row[length:].any()  # the rest of a row is the caller's
    joined = genome.read_joined(numbers, starts, lengths)
    rows = zip(out, lengths, strict=True)
    assert joined.tobytes() == b"".join(row[:length].tobytes() for row, length in rows)
    assert not genome.read_joined([], [], []).size
    genome.read_into([2, 0], [0, 400], 100, out[:2])
    assert out[1].tobytes() == contigs["chr1"][400:]


@pytest.mark.parametrize(
    ("contigs", "starts", "lengths", "message"),
    [
        ([0, 3], [0, 0], 4, r"row 1 asks for 4 bases from 0 of contig number 3"),
        ([0, -1], [0, 0], 4, r"row 1 .* contig number -1"),
        ([0, 1], [-1, 0], 4, r"row 0 asks for 4 bases from -1"),
        ([0, 1], [0, 77], 4, r"row 1 asks for 4 bases from 77 of contig number 1 \(80 bases\)"),
        ([0, 1], [0, 0], 9, r"row 0 asks for 9 bases .* into 8 columns"),
        ([0, 1], [0, 0], [1, -1], r"row 1 asks for -1 bases"),
        ([0, 1, 2], [0, 0, 0], 4, r"3 windows for 2 rows"),
        ([0.5, 1], [0, 0], 4, r"integers"),
        (np.uint8([0, 0]), np.uint8([0, 250]), np.uint8(8), r"row 1 asks for 8 bases from 250"),
    ],
)
def test_bad_batches(
    tmp_path: Path, contigs: list[int], starts: list[int], lengths: int, message: str
) -> None:
    path = write_fasta(tmp_path / "g.fa", random_contigs(0, [253, 80, 1000]), 60)
    genome = Genome(path, tmp_path / "cache")
    with pytest.raises(ValueError, match=message):
        genome.read_into(contigs, starts, lengths, np.zeros((2, 8), dtype=np.uint8))
    if "columns" not in message and "rows" not in message:  # neither of which it has
        with pytest.raises(ValueError, match=message):
            genome.read_joined(contigs, starts, lengths)


@pytest.mark.parametrize("store", STORES)
def test_ambiguous_bases_are_counted(tmp_path: Path, block: int, store: str) -> None:
    draw = random.Random(5)
    contigs = {
        "a": b"NNN" + bytes(draw.choices(b"ACGTuNnR", k=200)) + b"NN",
        "b": b"N" * 40,
        "c": b"ACGTacgtUu" * 3,
        "d": bytes(draw.choices(b"ACGT" * 9 + b"Ny", k=100)),
    }
    genome = open_genome(write_fasta(tmp_path / "g.fa", contigs, 30), tmp_path / "cache", store)
    numbers, starts, lengths, expected = [], [], [], []
    for number, bases in enumerate(contigs.values()):
        for _ in range(100):
            start, end = sorted(draw.choices(range(len(bases) + 1), k=2))
            numbers.append(number)
            starts.append(start)
            lengths.append(end - start)
            expected.append(len(bases[start:end].translate(None, b"ACGTUacgtu")))
    counted = genome.count_ambiguous(numbers, starts, lengths)
    np.testing.assert_array_equal(counted, expected)


def test_a_genome_without_ambiguous_bases(tmp_path: Path) -> None:
    genome = Genome(write_fasta(tmp_path / "g.fa", {"a": b"ACGT" * 5}, 10), tmp_path / "cache")
    assert genome.count_ambiguous([0, 0], [1, 2], 4).tolist() == [0, 0]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("tokenizer", "contigs", "message"),
    [
        (Tokenizer(), None, None),
        (Tokenizer("byte"), None, None),
        (Tokenizer(iupac="error"), None, r"b, position 7 \(0-based\): 'R' .*iupac=accept"),
        (Tokenizer(iupac="error"), ["c"], r"c, position 12 \(0-based\): 'y' .*iupac=accept"),
        (Tokenizer(iupac="error"), ["a"], None),
        (Tokenizer(uracil="error"), None, r"c, position 3 \(0-based\): 'u' .*uracil=accept"),
        (Tokenizer(uracil="error"), ["a", "b"], None),
    ],
)
def test_policies_are_checked_before_any_work(
    tmp_path: Path, store: str, tokenizer: Tokenizer, contigs: list[str] | None, message: str | None
) -> None:
    bases = {"a": b"ACGTNacgtn", "b": b"ACGTACGRRAR", "c": b"ACGuACGTACGTy"}
    genome = open_genome(write_fasta(tmp_path / "g.fa", bases, 5), tmp_path / "cache", store)
    if message is None:
        genome.check(tokenizer, contigs)
    else:
        with pytest.raises(ValueError, match=rf"g\.fa: {message}"):
            genome.check(tokenizer, contigs)


def test_letters(tmp_path: Path) -> None:
    contigs = {"a": b"ACGT", "b": b"nRACu"}
    genome = Genome(write_fasta(tmp_path / "g.fa", contigs, 5), tmp_path / "cache")
    assert genome.letters == b"ACGRTnu"


def test_checking_an_unknown_contig(tmp_path: Path) -> None:
    genome = Genome(write_fasta(tmp_path / "g.fa", {"chr1": b"ACGT"}, 5), tmp_path / "cache")
    with pytest.raises(ValueError, match="did you mean 'chr1'"):
        genome.check(Tokenizer(), ["1"])


@pytest.mark.parametrize("store", STORES)
def test_a_pickle_holds_nothing_of_the_process(tmp_path: Path, store: str) -> None:
    genome = open_genome(
        write_fasta(tmp_path / "g.fa", {"a": b"ACGT" * 25_000}, 60), tmp_path / "cache", store
    )
    fresh = pickle.dumps(genome)
    genome.fetch("a", 0, 10)
    assert pickle.dumps(genome) == fresh  # an open descriptor leaves no trace
    assert len(fresh) < 2_000
    copy = pickle.loads(fresh)
    assert (copy.path, copy.name, copy.contigs) == (genome.path, genome.name, genome.contigs)
    assert copy.fetch("a", 8, 16) == b"ACGTACGT"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("hg38.fa", "hg38"),
        ("hg38.p14.fna.gz", "hg38.p14"),
        ("x.FASTA", "x"),
        (".fa", ".fa"),
        ("genome", "genome"),
    ],
)
def test_name(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(gzip.compress(b">a\nAC\n"))
    assert Genome(tmp_path / file, tmp_path / "cache").name == name


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fasta(tmp_path / "g.fa", {"a": b"ACGT"}, 60)
    monkeypatch.chdir(tmp_path)
    genome = Genome("g.fa", "cache")
    monkeypatch.chdir("/")
    assert genome.fetch("a", 0, 4) == b"ACGT"
    assert genome.path == tmp_path / "g.fa"
