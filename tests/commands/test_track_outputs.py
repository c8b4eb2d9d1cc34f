"""``evaluate``, ``embed`` and ``mutagenesis`` as tracks: what a reader of others finds in them."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pybigtools
import pytest
from models import opinionated
from numpy.typing import NDArray

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.inference.embedding import embed
from dnamamba.inference.scoring import score

TOKENIZER = Tokenizer()
ONE = "GATTACAGATTACCAGGTTTTACGNACGTRCATGACCATTGACCAGTACC"
TWO = "ACGTACGTTGCAACCA"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracks")
    checkpoint.save(path / "model", opinionated(), TOKENIZER)
    (path / "ref.fa").write_text(f">two\n{TWO}\n>one\n{ONE}\n>rest\nACGT\n")
    (path / "r.bed").write_text("one\t30\t50\ta\t0\t-\none\t2\t12\ntwo\t1\t5\n")
    return path


def _run(folder: Path, *arguments: str) -> int:
    command, output, *flags = arguments
    files = [str(folder / name) for name in ("model", "ref.fa")]
    output_flag = ["-o", str(folder / output)]
    if "--bed" in flags:
        flags[flags.index("--bed") + 1] = str(folder / "r.bed")
    return main([command, *files, *output_flag, *flags])


def _bigwig(path: Path, contig: str, size: int) -> NDArray[np.float64]:
    with pybigtools.open(str(path)) as file:
        values: NDArray[np.float64] = file.values(contig, 0, size, fillna=None)
    return values


def _bedgraph(path: Path, contig: str, size: int) -> NDArray[np.float64]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    head, *lines = text.decode().splitlines()
    assert head.startswith("track type=bedGraph name=")
    values = np.full(size, np.nan)
    for name, start, end, value in (line.split("\t") for line in lines):
        if name == contig:
            values[int(start) : int(end)] = float(value)
    return values


@pytest.mark.parametrize("ending", ["bw", "bigwig", "bedgraph", "bedgraph.gz"])
def test_every_base_of_whole_contigs(folder: Path, ending: str) -> None:
    assert _run(folder, "evaluate", f"bits.{ending}") == 0
    read = _bigwig if ending.startswith("b") and "bed" not in ending else _bedgraph
    for contig, bases in (("two", TWO), ("one", ONE)):
        values = read(folder / f"bits.{ending}", contig, len(bases))
        begun = [bases[:n] for n in range(1, len(bases) + 1)]
        sums = score(opinionated(), TOKENIZER, begun).log_likelihood
        expected = np.diff([0, *sums])
        expected[[base in "NR" for base in bases]] = np.nan
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-5)


def test_a_bigwig_has_the_contigs_of_the_genome(folder: Path) -> None:
    assert _run(folder, "evaluate", "regions.bw", "--bed", "") == 0
    with pybigtools.open(str(folder / "regions.bw")) as file:
        assert file.chroms() == {"two": 16, "one": 50, "rest": 4}
        assert file.info()["summary"]["basesCovered"] == 20 + 10 + 4
    covered = np.flatnonzero(~np.isnan(_bigwig(folder / "regions.bw", "one", 50)))
    assert covered.tolist() == [*range(2, 12), *range(30, 50)]


def test_columns_of_embeddings(folder: Path) -> None:
    flags = ("--pooling", "null", "--bed", "", "--dimensions", "0", "7")
    assert _run(folder, "embed", "v.bw", *flags) == 0
    assert not list(folder.glob("v.bw*"))
    minus = TOKENIZER.decode(TOKENIZER.reverse_complement(TOKENIZER.encode(ONE[30:50])))
    reads = [("one", 30, minus, True), ("one", 2, ONE[2:12], False), ("two", 1, TWO[1:5], False)]
    vectors = embed(opinionated(), TOKENIZER, [read for _, _, read, _ in reads], pooling=None)
    for number in (0, 7):
        path = folder / f"v.e{number}.bw"
        values = {"one": np.full(50, np.nan), "two": np.full(16, np.nan)}
        for (contig, start, read, turned), found in zip(reads, vectors, strict=True):
            column = found[::-1, number] if turned else found[:, number]
            values[contig][start : start + len(read)] = column
        for contig, expected in values.items():
            got = _bigwig(path, contig, len(expected))
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_windows_of_embeddings(folder: Path) -> None:
    assert _run(folder, "embed", "w.bedgraph", "--window", "8", "--dimensions", "3") == 0
    lines = [line.split("\t") for line in (folder / "w.bedgraph").read_text().splitlines()[1:]]
    places = [(contig, int(start), int(end)) for contig, start, end, _ in lines]
    assert places[:3] == [("two", 0, 8), ("two", 8, 16), ("one", 0, 8)]
    expected = embed(opinionated(), TOKENIZER, [TWO[:8], TWO[8:]])[:, 3]
    np.testing.assert_allclose([float(line[3]) for line in lines[:2]], expected, rtol=1e-4)


def test_substitutions_as_bigwig(folder: Path) -> None:
    flags = ("--region", "one:20-28", "--both_strands", "false")
    for tracks in ("bw", "bedgraph"):
        assert _run(folder, "mutagenesis", f"m{tracks}", *flags, "--tracks", tracks) == 0
    for name in ("mean", "max"):
        values = _bigwig(folder / f"mbw.{name}.bw", "one", 50)
        expected = _bedgraph(folder / f"mbedgraph.{name}.bedgraph", "one", 50)
        assert np.count_nonzero(~np.isnan(values)) == 7
        np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("embed", "x.bw"), "say which of a vector with --dimensions, each of 0 to 31"),
        (("embed", "x.bw", "--dimensions", "32"), "each of 0 to 31 at most once; got 32"),
        (("embed", "x.bw", "--dimensions", "e3"), "dimensions must be a whole number, got 'e3'"),
        (("embed", "x.npz", "--dimensions", "3"), "--dimensions are of tracks"),
        (("evaluate", "x.bed"), "output must end in .json or .tsv or .bw or .bigwig"),
    ],
)
def test_what_is_refused(
    folder: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(folder, *arguments) == 1
    assert said in capsys.readouterr().err
    assert not list(folder.glob("x.*"))


def test_regions_that_overlap(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bed = folder / "overlap.bed"
    bed.write_text("one\t5\t10\none\t2\t6\n")
    files: Any = [str(folder / name) for name in ("model", "ref.fa")]
    assert main(["evaluate", *files, "-o", str(folder / "o.bw"), "--bed", str(bed)]) == 1
    err = capsys.readouterr().err
    assert "the regions one:2-6 and one:5-10 overlap" in err
    assert not (folder / "o.bw").exists()
