"""From genomes and settings to windows: what is kept, what is left out and said."""

import re
from pathlib import Path

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.several import open_genomes
from dnamamba.data.windows.build import make_plans
from dnamamba.data.windows.dataset import WindowDataset
from dnamamba.data.windows.plan import Plans
from dnamamba.data.windows.settings import GenomeSplit, Part, WindowConfig

LENGTH = 64


def genome(folder: Path, name: str = "g", **contigs: str) -> dict[str, Genome]:
    path = folder / f"{name}.fa"
    path.write_text("".join(f">{contig}\n{bases}\n" for contig, bases in contigs.items()))
    return {name: Genome(path)}


def plans(genomes, split: GenomeSplit | None = None, weights=None, **windows) -> Plans:
    return make_plans(
        genomes, LENGTH, WindowConfig(**windows), split or GenomeSplit(), weights=weights
    )


def spans(planned: Plans, split: str = "train") -> list[str]:
    tiling, names = planned.of(split).tiling, planned.contigs.names
    found = tiling.places(np.arange(len(tiling)))
    return [f"{names[c]}:{start}-{start + n}" for c, start, n in zip(*found, strict=True)]


def test_windows_of_mostly_n_are_left_out_and_counted(tmp_path: Path) -> None:
    bases = "A" * 64 + "N" * 40 + "A" * 24 + "N" * 64 + "N" * 32 + "A" * 32 + "R" * 33 + "A" * 31
    planned = plans(genome(tmp_path, c=bases), max_ambiguous=0.5)
    assert spans(planned) == ["c:0-64", "c:192-256"]
    assert "3 window(s)" in planned.report[0]
    everything = plans(genome(tmp_path, c=bases), max_ambiguous=1.0)
    assert spans(everything) == ["c:0-64", "c:64-128", "c:192-256", "c:256-320"]


def test_held_out_parts_lose_no_scored_base(tmp_path: Path) -> None:
    """Only windows without any are left out, whatever share training allows."""
    bases = "A" * 64 + "N" * 63 + "A" + "N" * 64 + "A" * 30
    split = GenomeSplit(validation=Part(contigs=("held",)))
    genomes = genome(tmp_path, held=bases, other="ACGT" * 40)
    planned = plans(genomes, split, max_ambiguous=0.0, stride=7)
    assert spans(planned, "validation") == ["held:0-64", "held:64-128", "held:192-222"]


@pytest.mark.parametrize(
    ("short", "expected"), [("drop", ["long:0-64"]), ("pad", ["long:0-64", "tiny:0-10"])]
)
def test_short_contigs_by_choice(tmp_path: Path, short, expected) -> None:
    planned = plans(genome(tmp_path, long="A" * 64, tiny="C" * 10), short=short)
    assert spans(planned) == expected
    word = "left out: 1 region" if short == "drop" else "1 region(s) shorter than a window, padded"
    assert word in planned.report[0]


def test_include_and_exclude(tmp_path: Path) -> None:
    include, exclude = tmp_path / "in.bed", tmp_path / "out.bed"
    include.write_text("c\t0\t128\nc\t128\t192\nd\t100\t164\n")
    exclude.write_text("c\t64\t70\n")
    genomes = genome(tmp_path, c="A" * 300, d="C" * 300)
    planned = plans(genomes, include=str(include), exclude=str(exclude), short="pad")
    assert spans(planned) == ["c:0-64", "c:70-128", "c:128-192", "d:100-164"]
    assert spans(planned, "predict") == spans(planned)


def test_weights_make_quotas_of_an_epoch(tmp_path: Path) -> None:
    genomes = genome(tmp_path, "one", a="A" * 640) | genome(tmp_path, "two", b="C" * 6400)
    planned = plans(genomes, weights=[1, 1]).of("train")
    assert planned.pools == (10, 100)
    assert planned.quota == (55, 55)
    assert plans(genomes).of("train").quota == (110,)


def test_names_of_genomes_are_told_apart(tmp_path: Path) -> None:
    paths = []
    for folder in ("human", "mouse"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "genome.fa")
        paths[-1].write_text(">chr1\nACGT\n")
    assert list(open_genomes(paths)) == ["human/genome", "mouse/genome"]
    assert list(open_genomes(paths[:1])) == ["genome"]
    with pytest.raises(ValueError, match="given more than once"):
        open_genomes([paths[0], tmp_path / "human" / ".." / "human" / "genome.fa"])
    with pytest.raises(ValueError, match="no genome given"):
        open_genomes([])


def test_the_identity_says_what_differs(tmp_path: Path) -> None:
    genomes = genome(tmp_path, c="A" * 640)
    one, shuffled, strided = (
        plans(genomes, **options).identity()
        for options in ({"shuffle": False}, {"shuffle": True}, {"stride": 32, "shuffle": False})
    )
    assert {name for name in one if one[name] != shuffled[name]} == {"shuffle"}
    changed = {name.split(",")[0] for name in one if one[name] != strided[name]}
    assert changed == {"places of the windows", "samples of each genome"}


def test_describe(tmp_path: Path) -> None:
    genomes = genome(tmp_path, "hg", chr1="A" * 640)
    planned = plans(genomes)
    train, predict = (
        WindowDataset(list(genomes.values()), planned.contigs, planned.of(part), Tokenizer())
        for part in ("train", "predict")
    )
    said = train.describe(np.arange(10))
    assert all(re.fullmatch(r"hg chr1:\d+-\d+\([+-]\)", where) for where in said)
    assert sorted(int(re.split("[:-]", where)[1]) for where in said) == list(range(0, 640, 64))
    assert predict.describe(np.array([0, -1])) == ["hg chr1:0-64(+)", "an empty row"]
    with pytest.raises(ValueError, match="split must be one of train, validation, test, predict"):
        planned.of("training")


def rejected(tmp_path: Path, length: int = LENGTH, weights=None, split=None, **windows) -> str:
    genomes = genome(tmp_path, a="A" * 640, n="N" * 640)
    genomes |= genome(tmp_path, "other", tiny="A" * 30)
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the caller matches)
        make_plans(
            genomes, length, WindowConfig(**windows), split or GenomeSplit(), weights=weights
        )
    return str(error.value)


def test_errors_say_what_to_change(tmp_path: Path) -> None:
    said = rejected(tmp_path, length=1000)
    assert (
        "longest is 'a' with 640 bases. Set data.length to that or less, or windows.short=pad"
        in said
    )
    assert "data.length must be 64 to 268,435,456 bases, got 63" in rejected(tmp_path, length=63)
    only_n = GenomeSplit(train=Part(contigs=("n",)))
    said = rejected(tmp_path, split=only_n)
    assert "no window is left (train: 0 windows" in said
    assert "10 window(s) of mostly N" in said
    said = rejected(tmp_path, split=GenomeSplit(test=Part(contigs=("n",))))
    assert "no window is left (test: 0 windows" in said
    said = rejected(tmp_path, weights=[1.0, 1.0])
    assert "genome 'other' has weight 1.0 but no training window left" in said
    said = rejected(tmp_path, weights=[1.0, 1e-6], short="pad")
    assert "genome 'other' gets none of the 11 samples of an epoch at weight 1e-06" in said
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        said = rejected(tmp_path, weights=[1.0, bad])
        assert f"the weight of genome 'other' must be above 0, got {bad}" in said


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tail": "wrap"}, "windows.tail must be one of shift, pad, drop, got 'wrap'"),
        ({"short": "keep"}, "windows.short must be one of pad, drop, got 'keep'"),
        ({"stride": 0}, "windows.stride must be at least 1 base, got 0"),
        ({"max_ambiguous": 1.5}, "windows.max_ambiguous is a share from 0 to 1, got 1.5"),
    ],
)
def test_settings_check_themselves(settings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WindowConfig(**settings)
