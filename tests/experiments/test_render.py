"""The page and the packaged model, from rows."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

Script = Callable[[str], ModuleType]


@pytest.fixture
def results(script: Script, tmp_path: Path) -> Path:
    """A folder with one row of every run there is."""
    plan = script("plan")
    table, rows = plan.Table.read(), {}
    about = {"machine": {"device": "a card", "torch": "1"}, "seconds": 1.0, "steps": 10}
    figures = {"mcc": 0.5, "accuracy": 0.75, "auroc": 0.875, "macro_f1": None, "auprc": 0.5}
    for job in table.pretraining():
        found = {"perplexity": 3.5, "perplexity hg38.fa": 3.25}
        parameters = {"small": 468_000, "large": 3_500_000}[job.size]
        counts = {"parameters": parameters, "tokens": 600_000_000, "bases_per_second": None}
        rows[job.name] = {**vars(job), **about, **counts, "figures": found}
    while jobs := table.missing(rows):
        for job in jobs:
            found = {**figures, "all": 0.5, "test": 0.625}
            samples = {"train": 2, "validation": 1, "test": 1}
            outcome = {"validation": 0.5, "figures": found, "samples": samples}
            rows[job.name] = {**vars(job), **about, **outcome}
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    return tmp_path


def test_the_page_holds_every_task(script: Script, results: Path) -> None:
    table = script("plan").Table.read()
    page = script("render").page(table, results)
    lines = page.splitlines()
    for task in table.tasks.values():
        (line, *_) = [line for line in lines if line.startswith(f"| {task.title} |")]
        several = 4 if task.folds > 1 and not task.sizes else 2  # from pretrained and from scratch
        assert line.count("±") == several
    assert "| 468,000 | 3 | 600 ± 0 Mb |" in page
    assert "<!--" not in page


def test_the_chart_shows_every_task_and_column(script: Script, results: Path) -> None:
    table = script("plan").Table.read()
    (axes,) = script("render").drawing(table, results).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert [label.partition(" (")[0] for label in labels] == [t.title for t in table.tasks.values()]
    _, legend = axes.get_legend_handles_labels()
    assert len(legend) == 1 + 2 * len(table.sizes)


def test_the_model_is_packaged_with_its_card(
    script: Script, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card: Any = script("model_card")
    monkeypatch.setattr(card, "RESULTS", results)
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1, d_state=2))
    checkpoint.save(results / "pretrained" / "small-seed1", model, Tokenizer())
    folder = card.package(results, 1, results / "home")
    assert checkpoint.load(folder)[0].config == model.config
    text = (folder / "README.md").read_text()
    assert "468,000 parameters" in text
    assert "| hg38 | 3.250 |" in text
    assert "$" not in text


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
    plan = script("plan")
    page = (plan.ROOT / "docs" / "results.md").read_text()
    assert page == script("render").page(plan.Table.read())
