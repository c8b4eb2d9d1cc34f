"""The parts of a split are disjoint, guarded and a function of the seed."""

import re
from pathlib import Path

import numpy as np
import pytest

from dnamamba.data.windows.holdout import divide
from dnamamba.data.windows.regions import Contigs, Regions, intersection, union, widened
from dnamamba.data.windows.settings import GenomeSplit, Part

CONTIGS = Contigs.of(
    {"one": {"a": 100_000, "b": 40_000, "c": 500}, "two": {"x": 60_000, "y": 10_000}}
)


def bed(path: Path, *rows: str) -> str:
    path.write_text("\n".join(row.replace(" ", "\t") for row in rows) + "\n")
    return str(path)


def check_apart(parts: dict[str, Regions], guard: int) -> None:
    held_out = union(parts["validation"], parts["test"])
    assert held_out.bases == parts["validation"].bases + parts["test"].bases
    near = widened(held_out, guard, CONTIGS)
    assert not intersection(union(parts["train"]), near).bases


def spans(regions: Regions) -> list[str]:
    return [f"{CONTIGS.names[c]}:{start}-{end}" for c, start, end in zip(*regions, strict=True)]


def test_without_a_split_everything_is_for_training() -> None:
    parts = divide(CONTIGS.whole, CONTIGS, GenomeSplit(), 100, 0)
    assert parts["train"].bases == 210_500
    assert not parts["validation"].bases
    assert not parts["test"].bases


def test_contigs() -> None:
    split = GenomeSplit(validation=Part(contigs=("b",)), test=Part(contigs=("two:x", "c")))
    parts = divide(CONTIGS.whole, CONTIGS, split, 100, 0)
    assert spans(parts["validation"]) == ["b:0-40000"]
    assert spans(parts["test"]) == ["c:0-500", "x:0-60000"]
    assert spans(parts["train"]) == ["a:0-100000", "y:0-10000"]


def test_bed_with_a_guard(tmp_path: Path) -> None:
    split = GenomeSplit(
        validation=Part(bed=bed(tmp_path / "v.bed", "a 1000 2000", "a 1500 3000")),
        test=Part(bed=bed(tmp_path / "t.bed", "a 3000 4000", "b 39900 40000")),
        guard=200,
    )
    parts = divide(CONTIGS.whole, CONTIGS, split, 100, 0)
    assert spans(parts["validation"]) == ["a:1000-3000"]
    assert spans(parts["test"]) == ["a:3000-4000", "b:39900-40000"]
    assert spans(parts["train"])[:3] == ["a:0-800", "a:4200-100000", "b:0-39700"]
    check_apart(parts, 200)


def test_only_what_is_usable_is_divided(tmp_path: Path) -> None:
    usable = Regions(np.array([0, 0]), np.array([0, 5000]), np.array([1500, 9000]))
    split = GenomeSplit(validation=Part(bed=bed(tmp_path / "v.bed", "a 1000 6000")), guard=0)
    parts = divide(usable, CONTIGS, split, 100, 0)
    assert spans(parts["validation"]) == ["a:1000-1500", "a:5000-6000"]
    assert spans(parts["train"]) == ["a:0-1000", "a:6000-9000"]


def test_training_regions_may_be_named(tmp_path: Path) -> None:
    split = GenomeSplit(
        train=Part(contigs=("a",)), validation=Part(contigs=("b",)), test=Part(fraction=0.1)
    )
    parts = divide(CONTIGS.whole, CONTIGS, split, 100, 0)
    assert {CONTIGS.names[c] for c in parts["train"].contig} == {"a"}
    assert {CONTIGS.names[c] for c in parts["test"].contig} == {"a"}
    check_apart(parts, 1000)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fractions", [(0.1, 0.2), (0.3, 0.0), (0.01, 0.05)])
def test_fractions_are_met_in_each_genome_by_whole_windows(seed: int, fractions) -> None:
    validation, test = fractions
    split = GenomeSplit(validation=Part(fraction=validation), test=Part(fraction=test), guard=300)
    length = 50
    parts = divide(CONTIGS.whole, CONTIGS, split, length, seed)
    check_apart(parts, 300)
    for genome, bases in ((0, 140_500), (1, 70_000)):
        for name, fraction in (("validation", validation), ("test", test)):
            own = parts[name].take(CONTIGS.genome[parts[name].contig] == genome)
            assert own.bases == pytest.approx(fraction * bases, abs=1500)
            assert ((own.start % length) == 0).all()
            assert bool(own.bases) == bool(fraction)


def test_fractions_depend_on_the_seed_alone() -> None:
    split = GenomeSplit(validation=Part(fraction=0.2))
    one, same, other = (
        spans(divide(CONTIGS.whole, CONTIGS, split, 100, seed)["validation"]) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_a_fraction_keeps_its_guard_from_a_held_out_bed(tmp_path: Path) -> None:
    split = GenomeSplit(
        test=Part(bed=bed(tmp_path / "t.bed", "a 40000 60000", "x 0 30000")),
        validation=Part(fraction=0.3),
        guard=500,
    )
    for seed in range(10):
        parts = divide(CONTIGS.whole, CONTIGS, split, 100, seed)
        check_apart(parts, 500)
        assert not intersection(widened(parts["test"], 500, CONTIGS), parts["validation"]).bases


def test_the_block_can_be_set() -> None:
    split = GenomeSplit(validation=Part(fraction=0.2), block=5000)
    found = divide(CONTIGS.whole, CONTIGS, split, 100, 3)["validation"]
    assert set((found.start % 5000).tolist()) == {0}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda folder: GenomeSplit(
                validation=Part(bed=bed(folder / "v.bed", "b 0 10", "a 0 100")),
                test=Part(bed=bed(folder / "t.bed", "# x", "a 99 200")),
            ),
            r"split.validation \(.*v.bed, line 2: a 0-100\) overlaps split.test "
            r"\(.*t.bed, line 2: a 99-200\) in 1 bases",
        ),
        (
            lambda folder: GenomeSplit(
                train=Part(bed=bed(folder / "train.bed", "a 0 100")), test=Part(contigs=("a",))
            ),
            r"split.train \(.*train.bed, line 1: a 0-100\) overlaps split.test \(contig a\)",
        ),
        (
            lambda folder: GenomeSplit(validation=Part(contigs=("chra",))),
            "split.validation.contigs: no genome has a contig 'chra'; did you mean 'a'",
        ),
    ],
)
def test_errors_name_the_rows(tmp_path: Path, build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        divide(CONTIGS.whole, CONTIGS, build(tmp_path), 100, 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Part(fraction=1.0), "from 0 to below 1, got 1.0"),
        (lambda: Part(fraction=-0.1), "from 0 to below 1, got -0.1"),
        (lambda: Part(fraction=0.1, bed="x.bed"), "contigs, bed or fraction, not by several"),
        (
            lambda: GenomeSplit(validation=Part(fraction=0.5), test=Part(fraction=0.5)),
            "leave nothing to train on",
        ),
        (lambda: GenomeSplit(train=Part(fraction=0.5)), "split.train takes contigs or a bed"),
        (lambda: GenomeSplit(guard=-1), "split.guard must be 0 or more"),
        (lambda: GenomeSplit(block=0), "split.block must be at least 1"),
    ],
)
def test_settings_check_themselves(build, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


def test_parts_may_name_contigs_by_other_names() -> None:
    contigs = Contigs.of({"ref": {"chr1": 1000, "chr2": 1000, "chrM": 500}})
    split = GenomeSplit(validation=Part(contigs=("2",)), test=Part(contigs=("MT",)), guard=0)
    with pytest.warns(UserWarning, match="'2' is read as 'chr2'") as warned:
        parts = divide(contigs.whole, contigs, split, 100, 0)
    assert len(warned) == 1
    assert parts["validation"].contig.tolist() == [1]
    assert parts["test"].contig.tolist() == [2]
