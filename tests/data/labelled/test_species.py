"""``SpeciesDataModule``: labels, balance, and that no base of a held-out window is trained on."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.modules.species import SpeciesDataModule

L = 64


def fasta(path: Path, contigs: dict[str, int], seed: int) -> str:
    random = np.random.default_rng(seed)
    text = ""
    for name, length in contigs.items():
        text += f">{name}\n" + "".join("ACGT"[i] for i in random.integers(0, 4, length)) + "\n"
    path.write_text(text)
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> dict[str, str]:
    """A large and a small genome that share a contig's name."""
    return {
        "worm": fasta(tmp_path / "w.fa", {"chr1": 20_000, "chr2": 8_000}, 1),
        "fly": fasta(tmp_path / "f.fa", {"chr1": 6_400, "x": 3_200}, 2),
    }


def module(species: dict[str, str], **options: Any) -> SpeciesDataModule:
    made = SpeciesDataModule(species, **{"length": L, **options})
    made.setup()
    return made


def covered(data: SpeciesDataModule, part: Any) -> set[tuple[int, int]]:
    """Every (contig, position) that some window of a part holds, the padding apart."""
    plan = data.windows(part)
    windows = plan.samples(np.arange(len(plan)))
    return {
        (contig, position)
        for contig, start, length, _ in zip(*(column.tolist() for column in windows), strict=True)
        for position in range(start, start + length)
    }


def test_the_label_is_the_species_and_the_bases_are_its_own(two: dict[str, str]) -> None:
    data = module(two, global_batch_size=8, windows=WindowConfig(reverse_complement=False))
    assert data.classes == ["worm", "fly"]
    batch = next(iter(data.train_dataloader()))
    assert {name: (tuple(x.shape), x.dtype) for name, x in batch.items()} == {
        "tokens": ((8, L), torch.uint8),
        "lengths": ((8,), torch.int64),
        "index": ((8,), torch.int64),
        "label": ((8,), torch.int64),
    }
    rows = zip(
        batch["tokens"].numpy(), batch["label"].tolist(), data.describe(batch["index"]), strict=True
    )
    for ids, label, place in rows:
        species, where = place.split()
        contig, _, span = where.removesuffix("(+)").partition(":")
        start, end = map(int, span.split("-"))
        assert species == data.classes[label]
        assert Tokenizer().decode(ids).encode() == data.plans.genomes[species].fetch(
            contig, start, end
        )


def test_windows_are_drawn_by_size_or_evenly(two: dict[str, str]) -> None:
    plain, balanced = module(two), module(two, balanced=True)
    share = (28_000 / 37_600, 9_600 / 37_600)
    assert np.bincount(plain.train_targets()) / len(plain.windows("train")) == pytest.approx(
        share, abs=0.01
    )
    assert plain.class_weights.tolist() == pytest.approx([1 / (2 * s) for s in share], rel=0.02)
    counts = np.bincount(balanced.train_targets())
    assert abs(counts[0] - counts[1]) <= 1
    assert counts.sum() == len(plain.windows("train"))
    assert balanced.class_weights.tolist() == pytest.approx([1, 1], abs=0.01)


@pytest.mark.parametrize("by", ["contig", "bed", "fraction"])
@pytest.mark.parametrize("guard", [0, 100])
def test_no_held_out_base_is_trained_on(
    by: str, guard: int, two: dict[str, str], tmp_path: Path
) -> None:
    bed = tmp_path / "test.bed"
    bed.write_text("worm:chr1\t3000\t5000\nx\t0\t1000\n")
    test = {
        "contig": Part(contigs=("chr2", "x")),
        "bed": Part(bed=str(bed)),
        "fraction": Part(fraction=0.2),
    }[by]
    data = module(two, split=GenomeSplit(test=test, guard=guard), windows=WindowConfig(stride=7))
    train, held_out = covered(data, "train"), covered(data, "test")
    assert held_out
    widened = {(c, p + d) for c, p in held_out for d in (-guard, 0, guard)}
    assert not train & widened
    windows = data.windows("test").samples(np.arange(len(data.windows("test"))))
    assert (windows.length == L).all()  # no short piece at a region's end is judged
    assert len(held_out) == L * len(windows.start)  # side by side, none overlaps another


def test_whole_contigs_by_fraction_and_short_ones_padded(tmp_path: Path) -> None:
    """A fraction in blocks larger than any contig holds out whole contigs."""
    species = {
        name: fasta(tmp_path / f"{name}.fa", {f"{name}{i}": 200 + i for i in range(50)}, seed)
        for seed, name in enumerate(["a", "b"])
    }
    data = module(
        species,
        length=240,
        windows=WindowConfig(short="pad"),
        split=GenomeSplit(test=Part(fraction=0.2), block=10_000),
        global_batch_size=16,
    )
    contigs = {part: {c for c, _ in covered(data, part)} for part in ("train", "test")}
    assert not contigs["train"] & contigs["test"]
    assert len(contigs["train"] | contigs["test"]) == 100
    assert 18 <= len(contigs["test"]) <= 22
    batch = next(iter(data.test_dataloader()))
    for ids, n in zip(batch["tokens"], batch["lengths"].tolist(), strict=True):
        assert n < 240 or n == 240
        assert (ids[n:] == PAD).all()
        assert (ids[:n] != PAD).all()


def test_records_with_pieces_on_both_sides_are_told_once(tmp_path: Path) -> None:
    """Where each record is a genome of its own, its relatives' bases are not new."""
    contigs = {f"isolate{i}": 2_000 + i for i in range(12)}
    species = {
        "a": fasta(tmp_path / "a.fa", contigs, 0),
        "b": fasta(tmp_path / "b.fa", {"chr1": 30_000}, 1),
    }
    split = GenomeSplit(Part(fraction=0.2), Part(fraction=0.2), block=500, guard=10)
    with pytest.warns(UserWarning, match=r"held out: a: \d+ of 12\. .*data\.split\.block") as said:
        data = module(species, split=split)
    assert len(said) == 1
    data.setup("test")
    block = re.search(r"data\.split\.block to (\d+)", str(said[0].message))
    assert block
    species["b"] = fasta(tmp_path / "b.fa", {f"chr{i}": 2_000 for i in range(8)}, 1)
    longest = int(block[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what it advises ends it
        data = module(species, split=GenomeSplit(*[Part(fraction=0.2)] * 2, block=longest))
    contigs_of = {part: {c for c, _ in covered(data, part)} for part in ("train", "test")}
    assert not contigs_of["train"] & contigs_of["test"]


def test_the_split_does_not_depend_on_the_seed_and_the_order_does(two: dict[str, str]) -> None:
    split = GenomeSplit(test=Part(fraction=0.2))
    one, other = module(two, split=split), module(two, split=split, seed=1)
    assert covered(one, "test") == covered(other, "test")
    first = np.arange(50)
    assert one.describe(first) != other.describe(first)


def test_unknown_genomes_are_predicted_in_order(two: dict[str, str], tmp_path: Path) -> None:
    new = fasta(tmp_path / "new.fa", {"n": 3 * L + 10}, 9)
    data = module(two, predict=[new], global_batch_size=2)
    first, second = data.predict_dataloader()
    assert set(first) == {"tokens", "lengths", "index"}
    found = data.describe(torch.cat([first["index"], second["index"]]), "predict")
    assert found == [f"new n:{L * i}-{L * (i + 1)}(+)" for i in range(3)]
    with pytest.raises(ValueError, match=r"nothing to predict; set data\.predict"):
        module(two).predict_dataloader()
    unlabelled = SpeciesDataModule(two, length=L, predict=[new])
    unlabelled.setup("predict")
    assert len(unlabelled.dataset("predict")) == 3


def test_a_part_without_some_species_is_told(two: dict[str, str]) -> None:
    with pytest.warns(UserWarning, match="the test part has no window of fly"):
        module(two, split=GenomeSplit(test=Part(contigs=("chr2",))))


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("contig of two species", {"split": GenomeSplit(test=Part(contigs=("chr1",)))},
     "several genomes have a contig 'chr1'; write worm:chr1 or fly:chr1"),
    ("unknown contig", {"split": GenomeSplit(test=Part(contigs=("chr9",)))},
     "no genome has a contig 'chr9'"),
    ("a species held out entirely",
     {"split": GenomeSplit(test=Part(contigs=("fly:chr1", "x")))},
     "the training examples hold only the class 'worm'"),
    ("window longer than every contig", {"length": 30_000}, "no contig is as long as a window"),
    ("letters refused", {"tokenizer": Tokenizer(iupac="error")}, r"tokenizer\.iupac=accept"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), [r[1:] for r in BAD], ids=[r[0] for r in BAD])
def test_refuses(
    options: dict[str, Any], expected: str, two: dict[str, str], tmp_path: Path
) -> None:
    if "tokenizer" in options:
        with open(two["fly"], "a") as file:
            file.write(">r\n" + "ACGR" * 100 + "\n")
    with pytest.raises(ValueError, match=expected):
        module(two, **options)


def test_one_species_is_refused(two: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"data\.species must name at least 2 species, got worm"):
        SpeciesDataModule({"worm": two["worm"]})


def test_the_bundled_genomes_divide_by_their_held_out_regions(samples: Path) -> None:
    heldout = samples / "heldout"
    data = module(
        {
            "chloroplast": str(samples / "arabidopsis_chloroplast.fa"),
            "nucleus": str(samples / "arabidopsis_chr1.fa"),
            "fly": str(samples / "drosophila.fa"),
        },
        length=500,
        windows=WindowConfig(exclude=str(heldout / "exclude.bed")),
        split=GenomeSplit(
            Part(bed=str(heldout / "validation.bed")), Part(bed=str(heldout / "test.bed"))
        ),
    )
    assert len(data.windows("test")) == 80
    assert not covered(data, "train") & covered(data, "test")
