"""Regions labelled with what a bigWig says of them."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.data.labelled import Labels
from dnamamba.data.labelled.signal import Signal, SignalRegions
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.tracks import open_track

LENGTHS = {"chr1": 4000, "chr2": 3000, "chrM": 50}
VALUES = np.random.default_rng(0).gamma(2.0, size=4000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", np.uint8)
    text = "".join(
        f">{name}\n{letters[random.integers(0, 4, n)].tobytes().decode()}\n"
        for name, n in LENGTHS.items()
    )
    (tmp_path / "ref.fa").write_text(text)
    _track(tmp_path / "t.bw", LENGTHS, VALUES)
    return tmp_path


def _track(path: Path, lengths: dict[str, int], values: np.ndarray) -> None:
    """Values of the first contig from 100 on; the second has one value on bases 0 to 10."""
    first, second, *_ = lengths
    with open_track(path, lengths, "t") as track:
        at = np.arange(100, min(lengths[first], len(values)))
        track.write(first, at, at + 1, values[at])
        track.write(second, [0], [10], [7.0])


def _module(folder: Path, bed: str, labels: Any = None, **signal: Any) -> Any:
    (folder / "r.bed").write_text(bed)
    files = {"genome": str(folder / "ref.fa"), "track": str(folder / "t.bw")}
    return LabelledSequenceDataModule(
        LabelledFiles(str(folder / "r.bed")),
        labels=labels or Labels(kind="number"),
        split=None,
        signal=Signal(**{**files, **signal}),
    )


def test_labels_are_means(folder: Path) -> None:
    bed = "chr1\t200\t260\tx\t0\t-\nchr1\t80\t120\nchr2\t5\t25\nchrM\t0\t9\n"
    module = _module(folder, bed)
    module.setup("fit")
    dataset = module.dataset("train")
    by_id = dict(zip(dataset.records.ids, dataset.records.targets.tolist(), strict=True))
    expected = {
        "chr1:200-260(-)": VALUES[200:260].mean(),
        "chr1:80-120(+)": VALUES[100:120].sum() / 40,
        "chr2:5-25(+)": 7 * 5 / 20,
        "chrM:0-9(+)": 0,
    }
    assert by_id == pytest.approx(expected, rel=1e-5)
    text = (folder / "ref.fa").read_text().splitlines()[1]
    read = Tokenizer().encode(text[200:260])
    np.testing.assert_array_equal(dataset.records.tokens[:60], Tokenizer().reverse_complement(read))


def test_bases_without_a_value_may_be_left_out(folder: Path) -> None:
    bed = "chr1\t80\t120\nchr2\t5\t25\n"
    module = _module(folder, bed, uncovered="leave_out", scale="log1p")
    module.setup("fit")
    expected = [math.log1p(VALUES[100:120].mean()), math.log1p(7)]
    np.testing.assert_allclose(module.train_targets(), expected, rtol=1e-5)
    lacking = bed + "chrM\t0\t9\n"
    with pytest.raises(ValueError, match=r"r.bed, line 3: .*t.bw has no value in the region"):
        _module(folder, lacking, uncovered="leave_out").setup("fit")
    module = _module(folder, lacking, Labels(kind="number", missing="skip"), uncovered="leave_out")
    with pytest.warns(UserWarning, match="leaves out 1 records"):
        module.setup("fit")
    assert len(module.train_targets()) == 2


def test_neighbours_stay_together(folder: Path) -> None:
    bed = "".join(f"chr1\t{at}\t{at + 60}\n" for at in range(100, 3900, 50))
    module = _module(folder, bed + "chr2\t0\t20\nchr2\t2500\t2600\n", block=1000)
    examples = SignalRegions(module.signal, False).examples(folder / "r.bed", True)
    groups = [example.group for example in examples if example is not None]
    assert groups == ["chr1:0"] * 76 + ["chr2:0", "chr2:2000"]  # one overlaps the next


def test_relatives_of_relatives_stay_together(folder: Path) -> None:
    """What begins beside a region that overlaps one of the block before, belongs to all of them."""
    bed = "chr1\t1500\t1600\nchr1\t900\t1100\nchr1\t1050\t1060\nchr1\t2000\t2100\n"
    module = _module(folder, bed + "chr2\t1700\t1800\n", block=1000)
    examples = SignalRegions(module.signal, False).examples(folder / "r.bed", True)
    groups = [example.group for example in examples if example is not None]
    assert groups == ["chr1:0"] * 3 + ["chr1:2000", "chr2:1000"]


@pytest.mark.parametrize(
    ("lengths", "match"),
    [
        ({"chr1": 4001, "chr2": 3000}, r"contig 'chr1' has 4,001 bases, 'chr1' of .*ref.fa 4,000"),
        ({"2L": 4000, "2R": 3000}, r"have no contig in common: the track has 2L, 2R"),
    ],
)
def test_a_track_of_another_assembly(folder: Path, lengths: dict[str, int], match: str) -> None:
    _track(folder / "t.bw", lengths, VALUES)
    with pytest.raises(ValueError, match=match):
        _module(folder, "chr1\t200\t260\n").setup("fit")


def test_contigs_by_other_names(folder: Path) -> None:
    _track(folder / "t.bw", {"1": 4000, "2": 3000}, VALUES)
    module = _module(folder, "chr1\t200\t260\nchr2\t5\t25\n")
    with pytest.warns(UserWarning, match="spells contigs otherwise: '1' is read as 'chr1'"):
        module.setup("fit")
    np.testing.assert_allclose(module.train_targets(), [VALUES[200:260].mean(), 1.75], rtol=1e-5)


def test_bad_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = "chr1\t200\t260\n"
    with pytest.raises(ValueError, match=r"cannot read the track .*none.bw: No such file"):
        _module(folder, bed, track=str(folder / "none.bw")).setup("fit")
    with pytest.raises(ValueError, match=r"ref.fa is no bigWig"):
        _module(folder, bed, track=str(folder / "ref.fa")).setup("fit")
    (folder / "cut.bw").write_bytes((folder / "t.bw").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"cut.bw .*it may be cut off"):
        _module(folder, bed, track=str(folder / "cut.bw")).setup("fit")
    with pytest.raises(ValueError, match=r"labels.kind is class; set labels.kind=number"):
        _module(folder, bed, Labels())
    module = LabelledSequenceDataModule(LabelledFiles(str(folder / "r.bed")))
    with pytest.raises(ValueError, match=r"r.bed names regions; set data.signal"):
        module.setup("fit")
    monkeypatch.setitem(sys.modules, "pybigtools", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs pybigtools: pip install 'dnamamba\[tra"):
        _module(folder, bed).setup("fit")
