"""Words become tasks, and every declared suite reads small stand-ins of its files."""

from pathlib import Path

import numpy as np
import pytest
from benchmark_data import bases, fasta, records, table

from dnamamba.benchmark.tasks.catalogue import read_suite, suites, tasks_for, tasks_of
from dnamamba.benchmark.tasks.sources import at_hand, root_of
from dnamamba.benchmark.tasks.task import Task

SEQUENCES = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"


def test_suites_and_their_tasks_are_known() -> None:
    sizes = {suite: len(tasks_of(suite)) for suite in suites()}
    assert sizes == {
        "brca1": 1, "genomic-benchmarks": 8, "gue": 28, "mitogenomes": 2,
        "nucleotide-transformer": 18, "promoters": 2, "regulatory": 2,
    }  # fmt: skip
    keys = [task.key for suite in suites() for task in tasks_of(suite)]
    assert len(set(keys)) == len(keys)
    assert [task.key for key in keys for task in tasks_of(key)] == keys


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("gue/tf/0", ["gue/tf/0"]),
        ("gue/mouse/", [f"gue/mouse/{i}" for i in range(5)]),
        ("promoters/nontata", ["promoters/nontata"]),
    ],
)
def test_a_word_is_a_task_or_several(word: str, keys: list[str]) -> None:
    assert [task.key for task in tasks_of(word)] == keys


@pytest.mark.parametrize(
    ("word", "near"), [("geu", "gue"), ("gue/tf/9", "gue/tf/"), ("gue/prom_core", "gue/prom_core_")]
)
def test_an_unknown_word_names_the_nearest(word: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"{word}.*did you mean '{near}.*--list"):
        tasks_of(word)


def test_an_empty_word_is_no_task() -> None:
    with pytest.raises(ValueError, match="'' is neither a task nor a file"):
        tasks_of("")


def test_published_figures_stand_beside_their_names() -> None:
    (task,) = tasks_of("gue/mouse/2")
    assert task.published["Caduceus-PS 3.9M"] == 0.845
    assert task.published["DNABERT-2 117M"] == 0.829
    (task,) = tasks_of("nucleotide-transformer/H3K4me3")
    assert task.published["Caduceus-Ph 1.9M"] == 0.544
    assert tasks_of("gue/EMP/H3")[0].published == {}


def test_every_address_has_a_checksum_of_a_declared_file() -> None:
    for task in (task for suite in suites() for task in tasks_of(suite)):
        assert task.files.keys() <= set(task.paths)
        for source in task.files.values():
            assert source["address"].startswith("https://")
            assert len(bytes.fromhex(source["sha256"])) == 32
    assert len([task for task in tasks_of("gue") if len(task.files) == 3]) == 13


def _stand_in(task: Task, root: Path) -> None:
    """Small files where the task wants them, in the form it declares."""
    settings = task.data["init_args"]
    fields = settings.get("fields", {})
    for i, name in enumerate(task.paths):
        rows = records(40, 80, seed=i)
        if name.endswith(".fa"):
            fasta(root / name, [sequence for sequence, _ in rows])
        elif name.endswith(".fna"):
            two = [
                fasta(
                    root / f"{j}.fna",
                    [s for s, label in rows if label == str(j)],
                    f"{{name}}_{{i}} |{j}",
                )
                for j in (0, 1)
            ]
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("".join(path.read_text() for path in two))
        elif column := settings.get("split", {}).get("column"):
            parts = [(*row, "test" if n % 5 < 2 else "train") for n, row in enumerate(rows)]
            table(root / name, parts, fields["sequence"], fields["label"], column)
        else:
            header = fields.get("sequence", "sequence"), fields.get("label", "label")
            table(root / name, rows, *header)


@pytest.mark.parametrize(
    "key",
    [task.key for suite in suites() if suite != "brca1" for task in tasks_of(suite)],
)
def test_a_declared_task_reads_its_stand_in(key: str, tmp_path: Path) -> None:
    (task,) = tasks_of(key)
    _stand_in(task, tmp_path / "data")
    assert at_hand(task, tmp_path / "data") == "at hand"
    root = root_of(task, tmp_path / "data")
    for test in (False, True):
        module = task.module(root, fold=task.folds - 1, test=test)
        assert all(len(module.dataset(part)) for part in ("train", "validation", "test"))
        assert task.metric in ("mcc", "accuracy", "macro_f1")


@pytest.mark.filterwarnings("ignore:.*labels.mapping leaves out")
def test_the_variants_read_their_stand_in(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contig = bases(rng, 60_000)
    (task,) = tasks_of("brca1")
    genome, vcf = (tmp_path / name.removesuffix(".gz") for name in task.paths)
    fasta(genome, [contig], "chr17")
    rows = [
        f"17\t{i + 1}\t.\t{contig[i]}\t{'A' if contig[i] != 'A' else 'C'}\t.\t.\t"
        f"CLNSIG={('Benign', 'Likely_pathogenic', 'Uncertain')[n % 3]}"
        for n, i in enumerate(range(200, 59_000, 150))
    ]
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    vcf.write_text("\n".join([head, *rows, ""]))
    module = task.module(root_of(task, tmp_path))
    assert all(len(module.dataset(part)) for part in ("train", "validation", "test"))


def test_a_user_declares_tasks_of_his_own(tmp_path: Path) -> None:
    table(tmp_path / "x.csv", records(40), "bases", "grade")
    (tmp_path / "mine.yaml").write_text(
        "defaults:\n  metric: auroc\n"
        f"  data: {{class_path: {SEQUENCES}, init_args: {{fields: {{sequence: bases, "
        "label: grade}, files: {train: '{folder}.csv'}}}\n"
        "tasks:\n  x: {published: {them: 0.7}}\n  y: {folder: x, apart: true}\n"
    )
    x, y = tasks_of(str(tmp_path / "mine.yaml"))
    assert (x.key, x.published, y.key, y.apart) == ("mine/x", {"them": 0.7}, "mine/y", True)
    for task in (x, y):
        assert len(task.module(root_of(task)).dataset("train")) > 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: [", "mine.yaml: "),
        ("- 1", "has the key tasks"),
        ("tasks: {x: {}}", "task x: .*'data'"),
        ("tasks: {x: 3}", "task x: "),
        ("more: 1\ntasks: {}", "unknown key 'more'"),
        ("tasks: {x: {metric: mcc, data: {class_path: os.system, init_args: {}}}}", "class_path"),
        ("tasks: {x: {colour: red}}", "task x: .*colour"),
    ],
)
def test_a_bad_declaration_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_suite(tmp_path / "mine.yaml")


def test_each_task_comes_once_and_no_two_share_a_name(tmp_path: Path) -> None:
    assert len(tasks_for(["gue/tf", "gue/tf/0", "gue/tf"])) == 5
    one, two = (table(tmp_path / name / "my.csv", records(20)) for name in "ab")
    assert len(tasks_for([str(one), str(one)])) == 1
    with pytest.raises(ValueError, match=r"another task is called own/my, too \(.*rename"):
        tasks_for([str(one), str(two)])
