"""``dnamamba mutagenesis``: the tables, tracks and pictures that it makes of regions."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.commands.mutagenesis import mutagenesis
from dnamamba.commands.mutagenesis_plot import plot_effects
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.mutagenesis import BASES, Effects, mutate
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 3e-4}
ONE = "GATTACAGATTACCAGGTTTTACGNACGTRCATGACCATTGACCAGTACC"


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "ref.fa").write_text(f">one\n{ONE}\n>two:b\nACGTacgtTGCA\n>gap\nNNNN\n")
    return Genome(tmp_path / "ref.fa")


@pytest.fixture
def folder(tmp_path: Path, genome: Genome, model: LanguageModel, tokenizer: Tokenizer) -> Path:
    checkpoint.save(tmp_path / "model", model, tokenizer)
    return tmp_path


def _files(folder: Path) -> list[str]:
    return [str(folder / name) for name in ("model", "ref.fa", "out/e")]


def test_files_of_a_region(
    folder: Path, model: LanguageModel, tokenizer: Tokenizer, genome: Genome
) -> None:
    mutagenesis(*_files(folder), "one:20-30")
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["e.max.bedgraph", "e.mean.bedgraph", "e.png", "e.tsv"]
    effects = mutate(model, tokenizer, genome, "one", 20, 30)

    header, *rows = [r.split("\t") for r in (folder / "out/e.tsv").read_text().splitlines()]
    assert header == [
        "contig", "start", "end", "ref", "alt", "llr", "llr_forward", "llr_reverse",
    ]  # fmt: skip
    assert len(rows) == 3 * 8  # the N and the R are left out
    for contig, start, end, ref, alt, llr, *_ in rows:
        assert (contig, int(end)) == ("one", int(start) + 1)
        assert ref == ONE[int(start)]
        expected = effects.llr[int(start) - 20, BASES.find(alt)]
        assert float(llr) == pytest.approx(expected, abs=3e-4)

    for name, expected in (("mean", effects.mean), ("max", effects.strongest)):
        head, *lines = (folder / f"out/e.{name}.bedgraph").read_text().splitlines()
        assert head.startswith("track type=bedGraph ")
        values = {int(line.split("\t")[1]): float(line.split("\t")[3]) for line in lines}
        assert sorted(values) == [20, 21, 22, 23, 25, 26, 27, 28]
        np.testing.assert_allclose(list(values.values()), expected[~np.isnan(expected)], **CLOSE)
    assert (folder / "out/e.png").read_bytes().startswith(b"\x89PNG")


def test_files_of_a_bed(folder: Path) -> None:
    (folder / "r.bed").write_text("two:b\t0\t4\none\t5\t8\none\t6\t10\ngap\t0\t2\n")
    mutagenesis(*_files(folder), bed=str(folder / "r.bed"), both_strands=False)
    rows = [row.split("\t") for row in (folder / "out/e.tsv").read_text().splitlines()[1:]]
    places = list(dict.fromkeys((row[0], int(row[1])) for row in rows))
    assert places == [*(("one", at) for at in range(5, 10)), *(("two:b", at) for at in range(4))]
    assert {row[7] for row in rows} == {"nan"}
    assert sorted(p.name for p in (folder / "out").glob("*.png")) == [
        "e.1.png", "e.2.png", "e.3.png",
    ]  # fmt: skip


def test_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["mutagenesis", *_files(folder), "--region", "two:b:1-3"]
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "e.tsv exists; remove it, or set overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({}, "name either a region"),
        ({"region": "one:1-2", "bed": "x.bed"}, "name either a region"),
        ({"region": "one"}, r"region 'one' must be written contig:start-end"),
        ({"region": "one:5"}, r"must be written contig:start-end"),
        ({"region": "one:1,000-2,000"}, r"start must be an integer without separators"),
        ({"region": "one:7-7"}, r"region 'one:7-7': start 7 is not below end 7"),
        ({"region": "one:7-70"}, r"7-70 is out of range: 'one' has 50 bases"),
        ({"region": "chrone:7-70"}, r"no genome has a contig 'chrone'; did you mean 'one'"),
        ({"region": "one:1-2", "flank": -1}, "flank must be at least 0"),
    ],
)
def test_bad_settings(folder: Path, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        mutagenesis(*_files(folder), **settings)
    assert not (folder / "out").exists()


@pytest.mark.usefixtures("no_gpu")  # whose kernels would be compiled, and not find room either
@pytest.mark.parametrize("room", [100, 1000, 10_000])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_all_files_as_they_were(
    folder: Path, room: int, overwrite: bool
) -> None:
    """The table, a track or the picture is the one that has no room."""
    if overwrite:
        mutagenesis(*_files(folder), "one:20-24")
    before = {path.name: path.read_bytes() for path in (folder / "out").glob("*")}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError, match=r"no room to write .*out/e\."):
            mutagenesis(*_files(folder), "one:20-30", overwrite=overwrite)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in (folder / "out").glob("*")} == before


@pytest.mark.parametrize("output", ["", "effects/"])
def test_an_output_must_have_a_name(folder: Path, output: str) -> None:
    model, fasta, _ = _files(folder)
    with pytest.raises(ValueError, match=rf"how the names of the files begin, as {output}effects"):
        mutagenesis(model, fasta, output, "one:20-30")


def test_a_picture_of_a_gap(tmp_path: Path) -> None:
    llr = np.full((5, 4), np.nan)
    with (tmp_path / "e.png").open("wb") as file:
        plot_effects(Effects("one", 0, "NNNNN", llr, llr, llr), file)
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("size", [1, 101, 2500])
def test_pictures_of_any_size(tmp_path: Path, size: int) -> None:
    random = np.random.default_rng(0)
    ref = np.frombuffer(b"ACGTN", np.uint8)[random.integers(0, 5, size)].tobytes().decode()
    llr = random.normal(size=(size, 4))
    llr[[base == "N" for base in ref]] = np.nan
    with (tmp_path / "e.png").open("wb") as file:
        plot_effects(Effects("one", 0, ref, llr, llr, llr), file)
    assert (tmp_path / "e.png").stat().st_size > 1000
