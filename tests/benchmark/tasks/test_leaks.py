"""What a test part shares with training and validation is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_data import bases, fasta, mutated, records, table

from dnamamba.benchmark.tasks import leaks as leaks_module
from dnamamba.benchmark.tasks.leaks import Leaks, leaks_of
from dnamamba.benchmark.tasks.task import Task

MODULES = "dnamamba.data.modules"


def _task(files: dict[str, str], metric: str = "mcc", **settings: Any) -> Task:
    data = {
        "class_path": f"{MODULES}.sequences.LabelledSequenceDataModule",
        "init_args": {"files": files, **settings},
    }
    return Task("own", "t", "T", data, metric)


FILES = {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of ten test items two are copies, one a relative beside them, two of one family."""
    rng = np.random.default_rng(0)
    train, dev = records(40, 100, seed=1), records(10, 100, seed=2)
    rows = records(6, 100, seed=3)
    rows += [(mutated(rng, train[0][0], 0, reverse=True), "0"), (dev[0][0].lower(), "1")]
    rows += [(mutated(rng, train[1][0], 0.02), "0"), (mutated(rng, rows[0][0], 0.02), "1")]
    for name, part in (("train", train), ("dev", dev), ("test", rows)):
        table(tmp_path / f"{name}.csv", part)
    return tmp_path


def test_copies_relatives_and_independent_items_are_counted(root: Path) -> None:
    assert leaks_of(_task(FILES), root) == Leaks(copies=2, relatives=3, groups=9, items=10)


def test_whole_sequences_count_where_pieces_are_read(root: Path) -> None:
    task = _task(FILES, length={"maximum": 30, "longer": "random"})
    assert leaks_of(task, root) == leaks_of(_task(FILES), root)


def test_numbers_for_labels_count_too(root: Path) -> None:
    assert leaks_of(_task(FILES, "pearson", labels={"kind": "number"}), root).copies == 2


def test_a_count_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = leaks_of(_task(FILES), root)
    monkeypatch.delattr(leaks_module, "with_relatives")
    assert leaks_of(_task(FILES), root) == first
    table(root / "dev.csv", records(10, 100, seed=7))
    with pytest.raises(NameError):
        leaks_of(_task(FILES), root)


def test_without_a_test_part_there_is_nothing_to_count(root: Path) -> None:
    task = _task({"train": "train.csv"}, split={"test": 0.0})
    with pytest.raises(ValueError, match="own/t: nothing is held out for test"):
        leaks_of(task, root)


def test_variants_are_compared_by_their_windows(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    contig = bases(rng, 4000)
    fasta(tmp_path / "g.fa", [contig], "c")
    places = {"train": [500, 510, 1500], "dev": [2500], "test": [500, 530, 3000, 3040, 3500]}
    other = dict(zip("ACGT", "CGTA", strict=True))
    for part, at in places.items():
        rows = [
            f"c\t{i + 1}\t.\t{contig[i]}\t{other[contig[i]]}\t.\t.\tL={'ab'[n % 2]}"
            for n, i in enumerate(at)
        ]
        head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
        (tmp_path / f"{part}.vcf").write_text("\n".join([head, *rows, ""]))
    files = {"genome": "g.fa", "train": "train.vcf", "validation": "dev.vcf", "test": "test.vcf"}
    settings = {"files": files, "fields": {"info": "L"}, "length": 200}
    data = {"class_path": f"{MODULES}.variants.VariantDataModule", "init_args": settings}
    task = Task("own", "v", "V", data, "auroc")
    assert leaks_of(task, tmp_path) == Leaks(copies=1, relatives=2, groups=3, items=5)
