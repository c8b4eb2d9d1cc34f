"""The page, from rows."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest

Script = Callable[[str], ModuleType]


@pytest.fixture
def results(script: Script, tmp_path: Path) -> Path:
    """A folder with one row of every run there is."""
    table, rows = script("table"), []
    about = {"machine": {"device": "a card", "torch": "1"}, "seconds": 1.0, "steps": 10}
    figures = {"mcc": 0.5, "accuracy": 0.75, "auroc": 0.875, "macro_f1": None, "auprc": 0.5}
    samples = {"train": 2, "validation": 1, "test": 1}
    outcome = {**about, "figures": {**figures, "all": 0.5, "test": 0.625}, "samples": samples}
    for size, seeds in (("small", (1, 2, 3)), ("large", (1,))):
        counts = {"parameters": {"small": 468_000, "large": 3_500_000}[size], "tokens": 600_000_000}
        told = {"perplexity": 3.5, "perplexity hg38.fa": 3.25}
        for seed in seeds:
            run = {"size": size, "seed": seed}
            pretrained = {**run, **about, **counts, "bases_per_second": None, "figures": told}
            rows.append({"kind": "pretrain", **pretrained})
            rows.append({"kind": "zero_shot", "task": "brca1", **run, **outcome})
        for task, start in product(table.read_tasks(), table.STARTS):
            folds = 5 if task.startswith("promoters") else 1
            if size == "large" and task == "promoters_apart":
                continue
            for number in range(max(folds, len(seeds))):
                run = {"size": size, "seed": seeds[number % len(seeds)], "fold": number % folds}
                tuned = {"kind": "finetune", "task": task, "start": start, **run, **outcome}
                rows.append({**tuned, "rate": 1e-3, "validation": 0.5})
                if size == "small" and not number:
                    rows.append({**tuned, "rate": 4e-3, "validation": 0.25})
    (tmp_path / "rows.json").write_text(json.dumps(dict(enumerate(rows))))
    return tmp_path


def test_the_page_holds_every_task(script: Script, results: Path) -> None:
    page = script("render").page(results)
    lines = page.splitlines()
    for name, task in script("table").read_tasks().items():
        (line, *_) = [line for line in lines if line.startswith(f"| {task.title} |")]
        several = 4 if name == "promoters" else 2  # from pretrained and from scratch
        assert line.count("±") == several
        assert f"| {task.title} | 10 | {task.batch} | 0.001 | 0.001 |" in lines
    assert "| 468,000 | 3 | 600 ± 0 Mb |" in page
    assert "<!--" not in page


def test_the_better_rate_on_the_validation_part_counts(script: Script, results: Path) -> None:
    rows = json.loads((results / "rows.json").read_text())
    chosen = script("table").chosen_rate
    assert chosen(rows, "brca1", "scratch") == 1e-3
    better = [r for r in rows.values() if r.get("rate") == 4e-3 and r["task"] == "brca1"]
    better[0]["validation"] = 0.75
    assert chosen(rows, "brca1", better[0]["start"]) == 4e-3
    assert chosen(rows, "none", "scratch") is None


def test_the_chart_shows_every_task_and_column(script: Script, results: Path) -> None:
    table = script("table")
    (axes,) = script("render").drawing(results).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    titles = [task.title for task in table.read_tasks().values()]
    assert [label.partition(" (")[0] for label in labels] == titles
    _, legend = axes.get_legend_handles_labels()
    assert len(legend) == 1 + 2 * len(table.SIZES)


def test_rows_are_packed_and_merged(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = script("rows")
    monkeypatch.setattr(rows, "RESULTS", tmp_path / "results")
    rows.write_row(tmp_path / "out", "a", {"figure": float("nan")})
    (tmp_path / "out" / "pretrained" / "small-seed1").mkdir(parents=True)
    (tmp_path / "out" / "pretrained" / "small-seed1" / "model.safetensors").touch()
    packed = rows.pack(tmp_path / "out", tmp_path / "packed")
    assert [path.name for path in packed] == ["rows.tar", "pretrained-small.tar"]
    assert rows.merge([tmp_path / "out"], "rows") == {"a": {"figure": None}}
    rows.write_row(tmp_path / "new", "b", {"figure": 1.0})
    assert rows.merge([tmp_path / "new"], "rows") == {"a": {"figure": None}, "b": {"figure": 1.0}}


def test_the_committed_page_is_what_the_committed_rows_give(script: Script) -> None:
    page = (script("places").DOCS / "results.md").read_text()
    assert page == script("render").page()


def test_a_benchmark_is_kept_for_the_page_and_resumed(script: Script, tmp_path: Path) -> None:
    kept, out, results = script("kept"), tmp_path / "out", tmp_path / "results"
    rows = [{"key": "one", "figures": {"mcc": 0.5}}, {"key": "two", "curve": [[1, None]]}]
    out.mkdir()
    (out / "table.json").write_text(json.dumps({"rows": rows}))
    (out / "table.md").write_text(
        "# Benchmark: a\n\n| task |\n| --- |\n| a |\n| b |\n\nWhat.\n\n## Frozen\n\nb\n"
    )
    (out / "chart.png").write_bytes(b"picture")
    assert kept.section("gue", results) == ""
    kept.keep(out, "gue", results, tmp_path)
    assert (tmp_path / "benchmark-gue.png").read_bytes() == b"picture"
    assert kept.section("gue", results).split("\n\n") == [
        "| task |\n| --- |\n| a |\n| b |",
        "![the table, drawn](benchmark-gue.png)",
        *("What.", "### Frozen", "b"),
    ]
    page = (out / "table.md").read_text()
    (out / "table.md").write_text(page.replace("| b |\n", ""))
    kept.keep(out, "one", results, tmp_path)
    assert "drawn" not in kept.section("one", results)
    assert not (tmp_path / "benchmark-one.png").exists()
    assert kept.resume("gue", tmp_path / "again", results) == 2
    again = [json.loads(path.read_text()) for path in (tmp_path / "again" / "rows").iterdir()]
    assert sorted(again, key=lambda row: row["key"]) == rows


def test_the_kept_rows_are_where_the_benchmark_looks(script: Script, tmp_path: Path) -> None:
    """Those that are committed, by the names and keys of the package's store."""
    from dnamamba.benchmark.runs.store import hash_of

    script("kept").resume("gue", tmp_path)
    paths = sorted((tmp_path / "rows").iterdir())
    assert len(paths) > 100
    for path in paths:
        key = json.loads(path.read_text())["key"]
        assert path.stem == hash_of(key)
