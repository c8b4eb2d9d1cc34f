"""``VariantDataModule``: labels, splits by position, and the pairs of windows in a batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data import Part
from dnamamba.data.labelled import Labels
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles
from dnamamba.data.variants import VariantChecks
from dnamamba.data.variants.labels import VariantFields
from dnamamba.data.variants.splits import VariantSplit

HEADER = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=SIG,Number=1,Type=String,Description="s">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="a">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
BASES = "".join("ACGT"[i] for i in np.random.default_rng(0).integers(0, 4, 4000))
CHR1, CHR2 = BASES[:3000], BASES[3000:]
OTHER = {"A": "G", "C": "T", "G": "A", "T": "C"}


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("genome") / "ref.fa"
    path.write_text(f">chr1\n{CHR1}\n>chr2\n{CHR2}\n")
    return str(path)


def snv(pos: int, sig: str, contig: str = "chr1", id: str = ".") -> str:
    ref = (CHR1 if contig == "chr1" else CHR2)[pos - 1]
    return f"{contig}\t{pos}\t{id}\t{ref}\t{OTHER[ref]}\t.\t.\tSIG={sig}\n"


def vcf(path: Path, *rows: str) -> str:
    path.write_text(HEADER + "".join(rows))
    return str(path)


def module(files: VariantFiles, **options: Any) -> VariantDataModule:
    made = VariantDataModule(files, **{"fields": VariantFields("SIG"), "length": 16, **options})
    made.setup()
    return made


def positions(data: VariantDataModule, part: Any) -> list[int]:
    return [variant.start + 1 for variant in data.variants(part)]


@pytest.fixture
def spread(tmp_path: Path, genome: str) -> VariantFiles:
    """100 variants on chr1, one each 25 bases, and 20 on chr2; every third is bad."""
    rows = [snv(25 * i + 1, "bad" if i % 3 == 0 else "good") for i in range(100)]
    rows += [snv(25 * i + 1, "bad" if i % 3 == 0 else "good", "chr2") for i in range(20)]
    return VariantFiles(genome, vcf(tmp_path / "v.vcf", *rows))


# ---- batches


def test_a_batch_holds_both_windows(tmp_path: Path, genome: str) -> None:
    rows = [
        snv(101, "good"),
        f"chr1\t201\tx\t{CHR1[200]}\t{CHR1[200]}AC\t.\t.\tSIG=bad\n",
        f"chr1\t301\t.\t{CHR1[300:304]}\t{CHR1[300]}\t.\t.\tSIG=bad\n",
        snv(3, "good"),
        snv(1000, "good", "chr2"),
    ]
    path = vcf(tmp_path / "v.vcf", *rows)
    data = VariantDataModule(VariantFiles(genome, predict=path), length=16, global_batch_size=8)
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert batch["tokens"].dtype == torch.uint8
    assert batch["tokens"].shape == (5, 2, 16)
    assert batch["position"].tolist() == [8, 8, 8, 2, 8]
    assert batch["right"].tolist() == [7, 5, 4, 7, 0]
    assert batch["lengths"].tolist() == [[16, 16], [14, 16], [16, 13], [10, 10], [9, 9]]
    expected = [
        (CHR1[92:108], CHR1[92:100] + OTHER[CHR1[100]] + CHR1[101:108]),
        (CHR1[192:206], CHR1[192:201] + "AC" + CHR1[201:206]),
        (CHR1[292:308], CHR1[292:301] + CHR1[304:308]),
        (CHR1[0:10], CHR1[0:2] + OTHER[CHR1[2]] + CHR1[3:10]),
        (CHR2[991:1000], CHR2[991:999] + OTHER[CHR2[999]]),
    ]
    for row, lengths, pair in zip(batch["tokens"], batch["lengths"], expected, strict=True):
        for ids, n, bases in zip(row.numpy(), lengths.tolist(), pair, strict=True):
            assert Tokenizer().decode(ids[:n]) == bases
            assert (ids[n:] == PAD).all()
    assert data.describe(batch["index"], "predict")[1] == f"chr1:201:{CHR1[200]}:{CHR1[200]}AC"


def test_from_the_opposite_strand_the_variant_stays_in_place(tmp_path: Path, genome: str) -> None:
    insertion = f"chr1\t201\t.\t{CHR1[200]}\t{CHR1[200]}AC\t.\t.\tSIG=bad\n"
    files = VariantFiles(genome, vcf(tmp_path / "v.vcf", insertion, snv(301, "good")))
    data = module(files, reverse_complement=True)
    batch = data.dataset("train")[np.arange(200)]
    flipped = 0
    for row in range(200):
        variant = data.variants("train")[data.dataset("train").order.numbers(np.array([row]))[0]]
        at = batch["position"][row]
        for allele, bases in enumerate((variant.ref, variant.alt)):
            here = batch["tokens"][row, allele, at : at + len(bases)].numpy()
            forward = Tokenizer().encode(bases)
            turned = Tokenizer().reverse_complement(forward)
            assert here.tolist() in (forward.tolist(), turned.tolist())
        assert batch["right"][row] == batch["lengths"][row, 0] - at - len(variant.ref)
        flipped += bool(data.dataset("train").order.reverse(np.array([row]))[0])
    assert 60 < flipped < 140
    plain = module(files).dataset("train")[np.arange(200)]
    assert set(plain["position"].tolist()) == {8}


def test_a_negative_number_is_an_empty_row(spread: VariantFiles) -> None:
    batch = module(spread).dataset("train")[np.array([0, -1])]
    assert batch["lengths"][1].tolist() == [0, 0]
    assert (batch["tokens"][1] == PAD).all()


# ---- labels


def test_labels_from_info_of_each_allele(tmp_path: Path, genome: str) -> None:
    alts = ",".join(sorted(set("ACGT") - {CHR1[0]})[:2])
    row = f"chr1\t1\t.\t{CHR1[0]}\t{alts}\t.\t.\tAF=0.5,0.25\n"
    files = VariantFiles(genome, vcf(tmp_path / "v.vcf", row))
    data = module(files, fields=VariantFields("AF"), labels=Labels("number"))
    batch = data.dataset("train")[np.arange(2)]
    assert sorted(batch["label"].tolist()) == [0.25, 0.5]
    assert batch["label"].dtype == torch.float32


def test_labels_from_a_table_by_variant_or_by_id(tmp_path: Path, genome: str) -> None:
    rows = [snv(25 * i + 1, "", id=f"rs{i};x{i}") for i in range(4)]
    files = VariantFiles(genome, vcf(tmp_path / "v.vcf", *rows))
    by_variant = tmp_path / "by_variant.tsv"
    by_variant.write_text(
        "ref\tpos\tclass\tchrom\talt\n"
        + "".join(
            f"{CHR1[25 * i].lower()}\t{25 * i + 1}\t{'ab'[i % 2]}\tchr1\t{OTHER[CHR1[25 * i]]}\n"
            for i in (2, 0, 3)
        )
    )
    by_id = tmp_path / "by_id.csv"
    by_id.write_text("class,id\na,rs0\na,x2\nb,rs3\n")
    for fields in (
        VariantFields(table=str(by_variant), label="class"),
        VariantFields(table=str(by_id), label="class", key=("id",)),
    ):
        with pytest.warns(UserWarning, match=r"by_\w+\.\w+ .* leaves out 1 variants"):
            data = module(files, fields=fields)
        assert positions(data, "train") == [1, 51, 76]
        targets = data.train_targets()
        assert [data.classes[i] for i in targets] == ["a", "a", "b"]
        assert data.class_weights.tolist() == [0.75, 1.5]


CLINVAR = Labels(classes=["good", "bad"], mapping={"bad": "bad", "worse": "bad", "good": "good"})
BAD: list[tuple[str, list[str], dict[str, Any], str]] = [
    ("missing label", [snv(1, "a"), snv(2, ".")], {},
     r"v\.vcf, line 6: the label is missing \(SIG\); fill it in or remove"),
    ("one class", [snv(1, "a"), snv(2, "a")], {}, "hold only the class 'a'"),
    ("no number", [snv(1, "a")], {"labels": Labels("number")},
     r"v\.vcf, line 5: label 'a' is no number"),
    ("labels nowhere", [snv(1, "a")], {"fields": VariantFields()}, r"Set fields\.info or"),
    ("nothing mapped", [snv(1, "a")], {"labels": CLINVAR}, r"no variant is left; 1 of them"),
    ("REF mismatch", ["chr1\t1\t.\t" + OTHER[CHR1[0]] + "\tN\t.\t.\tSIG=a\n"], {},
     r"v\.vcf, line 5: chr1:1: REF is"),
    ("nothing to train on", [], {}, r"v\.vcf: no variant is left"),
    ("unknown contig held out", [snv(1, "a"), snv(9, "b")],
     {"split": VariantSplit(Part(contigs=("chr3",)))}, r"split\.validation\.contigs: .*'chr3'"),
    ("held out twice", [snv(1, "a"), snv(9, "b")],
     {"split": VariantSplit(Part(contigs=("chr1",)), Part(contigs=("chr1",)))},
     r"chr1:1:.*split\.validation and split\.test both claim"),
    ("all held out", [snv(1, "a"), snv(9, "b")], {"split": VariantSplit(Part(contigs=("chr1",)))},
     r"no training variant is left; check data\.split"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*leaves out:UserWarning")
@pytest.mark.parametrize(
    ("rows", "options", "expected"), [r[1:] for r in BAD], ids=[r[0] for r in BAD]
)
def test_refuses(
    rows: list[str], options: dict[str, Any], expected: str, tmp_path: Path, genome: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        module(VariantFiles(genome, vcf(tmp_path / "v.vcf", *rows)), **options)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: VariantFields("A", "t.csv"), "not from both"),
        (lambda: VariantFields(key=("a", "b")), r"fields\.key must name four columns"),
        (lambda: VariantSplit(Part(fraction=0.5), Part(fraction=0.5)), "leave nothing to train on"),
        (lambda: VariantSplit(guard=-1), r"split\.guard must be 0 or more"),
        (lambda: VariantSplit(block=0), r"split\.block must be at least 1"),
        (
            lambda: VariantDataModule(VariantFiles("g.fa"), length=1),
            r"data\.length must be at least 2",
        ),
    ],
)
def test_refuses_settings(make: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make()


def test_a_table_that_labels_a_variant_twice_is_refused(tmp_path: Path, genome: str) -> None:
    (tmp_path / "t.csv").write_text("id,label\nrs1,a\nrs1,b\n")
    files = VariantFiles(genome, vcf(tmp_path / "v.vcf", snv(1, "")))
    with pytest.raises(
        ValueError, match=r"t\.csv, line 3: variant rs1 has a label at .*line 2 too"
    ):
        module(files, fields=VariantFields(table=str(tmp_path / "t.csv"), key=("id",)))


# ---- splits


def test_whole_contigs_are_held_out(spread: VariantFiles) -> None:
    data = module(spread, split=VariantSplit(test=Part(contigs=("chr2",))))
    assert {variant.contig for variant in data.variants("train")} == {"chr1"}
    assert {variant.contig for variant in data.variants("test")} == {"chr2"}
    assert len(data.variants("train")) == 100


def test_regions_are_held_out_with_a_guard(spread: VariantFiles, tmp_path: Path) -> None:
    bed = tmp_path / "test.bed"
    bed.write_text("chr1\t500\t1000\n")
    data = module(spread, split=VariantSplit(test=Part(bed=str(bed)), guard=60))
    assert positions(data, "test") == [25 * i + 1 for i in range(20, 40)]
    # 25 and 50 bases before and behind are within the guard, 75 are not
    train = [v.start for v in data.variants("train") if v.contig == "chr1"]
    assert train == [25 * i for i in range(100) if i < 18 or i > 41]
    wide = module(spread, split=VariantSplit(test=Part(bed=str(bed))), length=200)
    near = [
        v.start for v in wide.variants("train") if v.contig == "chr1" and 300 <= v.start <= 1200
    ]
    assert near == [300, 1175, 1200]  # a window's length from 500 and from 975


def test_a_part_that_no_variant_falls_to_is_said(spread: VariantFiles, tmp_path: Path) -> None:
    (tmp_path / "far.bed").write_text("chr1\t2800\t2900\n")
    split = VariantSplit(test=Part(bed=str(tmp_path / "far.bed")))
    with pytest.warns(UserWarning, match=r"test is empty: no variant falls to what split\.test"):
        data = module(spread, split=split)
    assert len(data.variants("train")) == 120


def test_a_fraction_is_held_out_in_blocks_of_even_classes(spread: VariantFiles) -> None:
    split = VariantSplit(Part(fraction=0.2), Part(fraction=0.2), guard=0, block=100)
    data = module(spread, split=split)
    parts = ("train", "validation", "test")
    blocks = {part: {(v.contig, v.start // 100) for v in data.variants(part)} for part in parts}
    assert not blocks["train"] & blocks["test"]
    assert not blocks["train"] & blocks["validation"]
    assert not blocks["validation"] & blocks["test"]
    sizes = [len(data.variants(part)) for part in parts]
    assert sum(sizes) == 120
    assert np.abs(np.array(sizes) - [72, 24, 24]).max() <= 8
    for part in ("validation", "test"):
        targets = data.dataset(part).targets
        assert targets is not None
        assert 0.2 < (targets == data.classes.index("bad")).mean() < 0.5
    other = module(
        spread, split=VariantSplit(Part(fraction=0.2), Part(fraction=0.2), block=100, seed=1)
    )
    assert positions(other, "test") != positions(data, "test")
    # the run's seed leaves the split alone
    assert positions(module(spread, split=split, seed=5), "test") == positions(data, "test")


def test_the_guard_keeps_held_out_windows_out_of_training(spread: VariantFiles) -> None:
    data = module(spread, split=VariantSplit(test=Part(fraction=0.2), block=300), length=64)
    for held_out in data.variants("test"):
        for variant in data.variants("train"):
            near = abs(held_out.start - variant.start) < 64
            assert not (near and held_out.contig == variant.contig)


def test_given_files_whose_windows_overlap(
    tmp_path: Path, genome: str, recwarn: pytest.WarningsRecorder
) -> None:
    train = vcf(tmp_path / "a.vcf", snv(1, "a"), snv(51, "b"), snv(101, "b"))
    apart = vcf(tmp_path / "b.vcf", snv(67, "b"), snv(201, "a"))  # 16 bases, a window, from 51
    module(VariantFiles(genome, train, test=apart)).variants("train")
    assert not recwarn.list
    near = vcf(tmp_path / "c.vcf", snv(66, "b"), snv(201, "a"))
    with pytest.warns(
        UserWarning, match=r"1 training variants .*\(16 bases\) .* data\.files\.test"
    ):
        module(VariantFiles(genome, train, test=near)).variants("train")


def test_given_files_and_copies_in_them(tmp_path: Path, genome: str) -> None:
    train = vcf(tmp_path / "a.vcf", snv(1, "a"), snv(51, "b"), snv(101, "b"))
    test = vcf(tmp_path / "b.vcf", snv(51, "b"), snv(201, "a"))
    copies, neighbours = (
        "splits: 1 of 2 in test also stand in train",
        "1 training variants lie less",
    )
    with pytest.warns(UserWarning, match=copies), pytest.warns(UserWarning, match=neighbours):
        data = module(VariantFiles(genome, train, test=test))
    assert [len(data.variants(p)) for p in ("train", "validation", "test")] == [3, 0, 2]
    with pytest.raises(
        ValueError, match=r"split\.test asks for a share .* data\.files\.test is given"
    ):
        module(VariantFiles(genome, train, test=test), split=VariantSplit(test=Part(fraction=0.1)))
    with pytest.raises(ValueError, match=r"nothing to train on; set data\.files\.train"):
        module(VariantFiles(genome, test=test))


def test_checks_reach_the_reader(spread: VariantFiles) -> None:
    strict = VariantChecks(contig_names={"chr2": "plasmid"})
    with pytest.raises(ValueError, match="no contig 'plasmid'"):
        module(spread, checks=strict)
    lenient = VariantChecks(contig_names={"chr2": "plasmid"}, unknown_contig="skip")
    with pytest.warns(UserWarning, match="20 on contigs that the FASTA lacks"):
        assert len(module(spread, checks=lenient).variants("train")) == 100
