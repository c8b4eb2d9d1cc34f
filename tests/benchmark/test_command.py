"""``dnamamba benchmark`` from what is typed to the files it leaves, on tiny tables and models."""

import csv
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_cases import FOUR
from filelock import FileLock
from published import FOREIGN

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.columns import COLUMNS
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.runs.store import hash_of
from dnamamba.cli import main
from dnamamba.config import MambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.model.language_model import LanguageModel

PUBLISHED = str(FOREIGN / "ph-tiny")
SHORT = ["--set", "steps.least=4", "steps.most=4", "validations=1"]

Benchmark = Callable[..., int]


@pytest.fixture
def table(tmp_path: Path) -> str:
    return write_table(tmp_path / "motif.csv")


def write_table(path: Path, n: int = 80) -> str:
    """Sequences of which every second one holds a motif."""
    draw = random.Random(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sequence", "label"])
        for i in range(n):
            bases = draw.choices("ACGT", k=40)
            bases[10:18] = "GATTACAG" if i % 2 else bases[10:18]
            rows.writerow(["".join(bases), "with" if i % 2 else "without"])
    return str(path)


def write_model(folder: Path, seed: int = 0, width: int = 8) -> str:
    torch.manual_seed(seed)
    model = LanguageModel(MambaConfig(d_model=width, n_layers=1, d_state=2))
    checkpoint.save(folder, model, Tokenizer())
    return str(folder)


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_model(tmp_path / "ours")


class Toys:
    """Columns that measure nothing.

    Attributes:
        ran: the jobs, in order.
        wrong: names of jobs that fail.
        stop: after so many jobs comes Ctrl-C.
    """

    def __init__(self) -> None:
        self.ran: list[Job] = []
        self.wrong: set[str] = set()
        self.stop = -1

    def measure(self, job: Job, work: Work) -> Row:
        if len(self.ran) == self.stop:
            raise KeyboardInterrupt
        if job.name in self.wrong:
            raise ValueError("it went wrong")
        self.ran.append(job)
        chosen = job.rows[-1]["chosen"] if job.rows else {"lr": job.choice}
        about = {"chosen": chosen, "validation": 0.5} if COLUMNS[job.column].chooses else {}
        if job.choice is not None:
            return about
        return {"figures": {job.task.metric: 0.5 + 0.1 * job.seed}, "samples": {}, **about}

    @property
    def names(self) -> list[str]:
        return [job.name for job in self.ran]


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Toys:
    toys = Toys()
    for key, column in COLUMNS.items():
        monkeypatch.setitem(COLUMNS, key, replace(column, measure=toys.measure))
    return toys


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    """The command on the CPU, with its output in ``out``; it tries four choices."""

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"choices": FOUR}))  # JSON is YAML

    def run(tasks: Any, models: Any, *flags: str) -> int:
        words = [tasks] if isinstance(tasks, str) else [*tasks]
        named = [models] if isinstance(models, str) else [*models]
        where = ["-o", str(tmp_path / "out"), "--device", "cpu", "--recipe", str(recipe)]
        return main(["benchmark", *words, "--models", *named, *where, *flags])

    return run


def cells(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """(column, model) -> its line of the CSV, of one task."""
    with (folder / "out" / "table.csv").open(newline="") as file:
        return {(line["column"], line["model"]): line for line in csv.DictReader(file)}


def test_an_own_table_and_two_models_give_the_whole_table(
    tmp_path: Path,
    table: str,
    model: str,
    benchmark: Benchmark,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert benchmark(table, [model, PUBLISHED], *SHORT) == 0
    said = capsys.readouterr()
    assert "26 runs on 1 task" in said.err
    assert "26 of 26" in said.err
    assert re.search(r"own/motif, scratch, .*, choice 4: MCC -?\d\.\d{3} on validation\n", said.err)
    assert re.search(r"own/motif, kmers, seed 1: MCC -?\d\.\d{3}\n", said.err)
    assert said.out.startswith("| task (MCC) | test | groups | copies | relatives | k-mers |")

    found = cells(tmp_path)
    assert [*found] == [
        ("kmers", "k-mers"),
        ("random", "random, frozen (ours)"),
        ("random", "random, frozen (ph-tiny)"),
        ("scratch", "from scratch (ours)"),
        ("scratch", "from scratch (ph-tiny)"),
        ("frozen", "ours"),
        ("model", "ours"),
        ("frozen", "ph-tiny"),
        ("model", "ph-tiny"),
    ]
    assert {(line["runs"], line["test"]) for line in found.values()} == {("1", "16")}
    options = Recipe.read().changed({"choices": FOUR}).options()
    assert json.loads(found["model", "ours"]["chosen"]) in options
    content = json.loads((tmp_path / "out" / "table.json").read_text())
    assert len(content["rows"]) == 26
    assert content["machine"]["device"] == "CPU"
    assert content["recipe"]["steps"] == {"least": 4, "most": 4}
    page = (tmp_path / "out" / "table.md").read_text()
    assert said.out.partition("\n/")[0].rstrip() in page
    assert "ph-tiny, frozen" in page
    assert (tmp_path / "out" / "chart.png").stat().st_size > 10_000

    assert benchmark(table, [model, PUBLISHED], *SHORT) == 0
    assert "26 runs on 1 task; 26 done before\n" in capsys.readouterr().err


def test_a_stopped_benchmark_goes_on_and_runs_nothing_twice(
    table: str, model: str, benchmark: Benchmark, toys: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    toys.stop = 4
    assert benchmark(table, model, "--seeds", "3") == 130
    assert "stopped: 4 of 20 runs are done; the same command goes on" in capsys.readouterr().err
    toys.stop = -1
    assert benchmark(table, model, "--seeds", "3") == 0
    assert "20 runs on 1 task; 4 done before" in capsys.readouterr().err
    assert len(toys.names) == len(set(toys.names)) == 19  # and what counts the leaks
    assert benchmark(table, model, "--seeds", "4") == 0  # more seeds: these alone
    assert {job.seed for job in toys.ran[19:]} == {4}


def test_a_run_that_fails_leaves_the_others(
    tmp_path: Path,
    table: str,
    model: str,
    benchmark: Benchmark,
    toys: Toys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toys.wrong = {f"own/motif, model, {model}, seed 1"}
    assert benchmark(table, model, "--seeds", "2") == 1
    said = capsys.readouterr()
    assert "own/motif, model, ours, seed 1: FAILED: ValueError: it went wrong" in said.err
    assert said.err.rstrip().endswith("and what waited for them, again")
    assert "1 of 17 runs failed" in said.err
    assert "- motif, ours: 0 of 2 runs, 1 failed" in said.out
    assert "failed |" in said.out
    (log,) = (tmp_path / "out" / "logs").iterdir()
    assert "Traceback" in log.read_text()
    assert cells(tmp_path)["scratch", "from scratch"]["mean"] == "0.65"
    assert cells(tmp_path)["model", "ours"]["failed"] == "1"

    before = len(toys.ran)
    toys.wrong = set()
    assert benchmark(table, model, "--seeds", "2") == 0
    assert [job.column for job in toys.ran[before:]] == ["model", "model"]
    assert not log.exists()
    assert cells(tmp_path)["model", "ours"]["failed"] == "0"


def test_later_seeds_do_as_the_first_has_chosen(
    table: str, model: str, benchmark: Benchmark, toys: Toys
) -> None:
    assert benchmark(table, model, "--seeds", "2") == 0
    runs = {(job.column, job.seed): job.rows for job in toys.ran if job.after}
    chosen = {run: [row["chosen"] for row in rows] for run, rows in runs.items()}
    trials = [{"lr": choice} for choice in range(4)]
    assert chosen == {
        ("scratch", 1): trials, ("model", 1): trials,
        ("scratch", 2): trials[-1:], ("model", 2): trials[-1:],
    }  # fmt: skip


def test_a_trial_that_fails_is_said_of_its_column(
    tmp_path: Path,
    table: str,
    model: str,
    benchmark: Benchmark,
    toys: Toys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toys.wrong = {f"own/motif, scratch, {model}, seed 1, choice 2"}
    assert benchmark(table, model, "--seeds", "2") == 1
    said = capsys.readouterr()
    assert "seed 1, choice 2: FAILED: ValueError: it went wrong" in said.err
    assert "- motif, from scratch: 0 of 2 runs, 1 failed" in said.out
    assert cells(tmp_path)["model", "ours"]["failed"] == "0"
    before = len(toys.ran)
    toys.wrong = set()
    assert benchmark(table, model, "--seeds", "2") == 0
    assert [(job.seed, job.choice) for job in toys.ran[before:]] == [(1, 1), (1, None), (2, None)]


def test_trials_are_reused_and_not_missed(
    tmp_path: Path, table: str, model: str, benchmark: Benchmark, toys: Toys
) -> None:
    """Of another list of choices the new ones alone are tried; of what is chosen none is."""
    rate = "choices.model.init_args.optimizer.lr"
    fine_tuned = ["--protocols", "fine-tuned"]
    assert benchmark(table, model, *fine_tuned, "--set", f"{rate}=[0.1]") == 0
    before = len(toys.ran)
    assert benchmark(table, model, *fine_tuned, "--set", f"{rate}=[0.2,0.1]") == 0
    new = [job.choice for job in toys.ran[before:]]
    assert sorted(new, key=str) == [0, 0, 1, 1, None, None]
    for path in (tmp_path / "out" / "rows").iterdir():
        if "choice" in json.loads(path.read_text()):
            path.unlink()
    before = len(toys.ran)
    assert benchmark(table, model, *fine_tuned, "--set", f"{rate}=[0.2,0.1]") == 0
    assert toys.ran[before:] == []


def test_models_of_equal_sizes_share_what_knows_no_weights(
    tmp_path: Path, table: str, model: str, benchmark: Benchmark, toys: Toys
) -> None:
    other = write_model(tmp_path / "other", seed=1)
    assert benchmark(table, [model, other]) == 0
    columns = [job.column for job in toys.ran]
    assert {name: columns.count(name) for name in columns} == {
        "kmers": 1, "random": 1, "scratch": 5, "frozen": 2, "model": 10,
    }  # fmt: skip
    before = len(toys.ran)
    assert benchmark(table, [other]) == 0  # the rows are the weights', whatever they are called
    assert toys.ran[before:] == []


def test_protocols_can_be_chosen(
    table: str, model: str, benchmark: Benchmark, toys: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark(table, model, "--protocols", "frozen") == 0
    assert {job.column for job in toys.ran} == {"kmers", "random", "frozen"}
    assert benchmark(table, model, "--protocols", "frosen") == 1
    assert "did you mean frozen?" in capsys.readouterr().err


def test_the_time_ends_it_and_what_there_is_is_written(
    tmp_path: Path,
    table: str,
    model: str,
    benchmark: Benchmark,
    toys: Toys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert benchmark(table, model, "--seconds", "1e-9") == 0
    assert "14 runs are left; the same command goes on" in capsys.readouterr().out
    assert cells(tmp_path)["kmers", "k-mers"]["runs"] == "0"


def test_tasks_of_a_suite_that_are_not_at_hand_are_left_out(
    tmp_path: Path, model: str, benchmark: Benchmark, toys: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "data" / "genomic_benchmarks" / "human_ocr_ensembl"
    write_table(home / "train.csv")
    write_table(home / "test.csv", 20)
    data = ["--data", str(tmp_path / "data"), "--protocols", "frozen"]
    assert benchmark("genomic-benchmarks", model, *data) == 0
    said = capsys.readouterr().err
    assert said.count("left out: genomic-benchmarks/") == 7
    assert "warning: genomic-benchmarks/human_ocr_ensembl: the splits are not independent" in said
    assert {job.task.name for job in toys.ran} == {"human_ocr_ensembl"}
    assert len(json.loads((tmp_path / "out" / "table.json").read_text())["not at hand"]) == 7
    assert benchmark("genomic-benchmarks/human_enhancers_cohn", model, *data) == 1
    assert "its files are not at hand" in capsys.readouterr().err


def test_the_list_says_what_is_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("gue/tf/0 ") and " MCC " in line for line in lines)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--workers", "0"], "workers must be at least 1, got 0"),
        (["--seconds", "0"], "seconds must be above 0, got 0.0"),
        (["--set", "epochs"], "set takes KEY=VALUE, got 'epochs'"),
        (["--set", "epoch=3"], "did you mean epochs?"),
        (["--recipe", "nowhere.yaml"], "nowhere.yaml is no recipe"),
        (["--data", "nowhere"], "data must be the folder of the suites' files, got nowhere"),
        (["--device", "gpu"], "device must be auto, cpu, cuda"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    flags: list[str],
    said: str,
    table: str,
    model: str,
    benchmark: Benchmark,
    toys: Toys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert benchmark(table, model, *flags) == 1
    assert said in capsys.readouterr().err
    assert not toys.ran


def test_what_must_be_given_is_asked_for(
    table: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "out")]
    for words, said in (
        ([table, *out], "models must be given, one or more: --models MODEL [MODEL ...]"),
        (["--models", model, *out], "tasks must be given: a suite (brca1, "),
        ([table, "--models", model], "output must be given, a folder: -o OUTPUT"),
    ):
        assert main(["benchmark", *words]) == 1
        assert said in capsys.readouterr().err


def test_models_that_do_not_do_are_refused(
    tmp_path: Path, table: str, model: str, benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    config = MambaConfig(d_model=8, n_layers=1, d_state=2)
    head = HeadConfig(kind="binary", labels=("a", "b"))
    checkpoint.save(tmp_path / "tuned", Classifier(config, head), Tokenizer())
    assert benchmark(table, [model, str(tmp_path / "tuned")]) == 1
    assert "is a Classifier, fine-tuned on labels" in capsys.readouterr().err
    assert benchmark(table, [model, str(FOREIGN / "hf-mamba-tiny")]) == 1
    assert "nobody says which letters" in capsys.readouterr().err
    assert benchmark(table, [model, "nowhere"]) == 1
    assert "there is no nowhere" in capsys.readouterr().err


def test_a_folder_of_other_things_is_not_written_into(
    tmp_path: Path, table: str, model: str, benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    assert benchmark(table, model) == 1
    assert "holds other things than a benchmark" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_an_output_that_is_being_written_is_left_alone(
    tmp_path: Path, table: str, model: str, benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        assert benchmark(table, model) == 1
    assert "is being written by another benchmark" in capsys.readouterr().err


def test_a_model_under_two_names_has_its_columns_once(
    tmp_path: Path,
    table: str,
    model: str,
    benchmark: Benchmark,
    toys: Toys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(model, tmp_path / "copy")
    assert benchmark(table, [model, model, str(tmp_path / "copy")]) == 0
    assert f"{tmp_path / 'copy'} is the same model as {model}" in capsys.readouterr().err
    assert [(job.column, job.choice) for job in toys.ran].count(("model", None)) == 1


def test_a_damaged_row_is_named(
    tmp_path: Path,
    table: str,
    model: str,
    benchmark: Benchmark,
    toys: Toys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert benchmark(table, model) == 0
    row = tmp_path / "out" / "rows" / f"{hash_of(toys.ran[0].key)}.json"
    row.write_text("{")
    assert benchmark(table, model) == 1
    assert f"{row} holds no row" in capsys.readouterr().err
    row.write_text("{}")
    assert benchmark(table, model) == 1
    assert f"{row} holds no row of this run" in capsys.readouterr().err
    row.unlink()
    assert benchmark(table, model) == 0


def test_a_wrong_table_is_named_before_anything_runs(
    tmp_path: Path, model: str, benchmark: Benchmark, toys: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "wrong.csv")
    with open(table, "a") as file:
        file.write("ACGT!ACGT,with\n")
    assert benchmark(table, model) == 1
    assert "wrong.csv, line 82" in capsys.readouterr().err
    assert not toys.ran


def test_without_scikit_learn_the_extra_is_named(
    table: str,
    model: str,
    benchmark: Benchmark,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert benchmark(table, model) == 1
    assert "needs sklearn: pip install 'dnamamba[benchmark]'" in capsys.readouterr().err


def test_processes_side_by_side_write_the_same_rows(
    tmp_path: Path, table: str, model: str, benchmark: Benchmark
) -> None:
    words = [table, "--models", model, "--protocols", "frozen", "--device", "cpu"]
    command = [sys.executable, "-m", "dnamamba", "benchmark", *words, "-o", str(tmp_path / "side")]
    done = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 runs on 1 task; 2 side by side\n" in done.stderr
    assert benchmark(table, model, "--protocols", "frozen") == 0
    here = json.loads((tmp_path / "out" / "table.json").read_text())
    there = json.loads((tmp_path / "side" / "table.json").read_text())
    assert here["tasks"] == there["tasks"]
