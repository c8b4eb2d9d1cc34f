"""A pretraining of each kind at toy size, on a bundled genome; its row, its card, its place."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dnamamba import checkpoint

Script = Callable[[str], ModuleType]

TINY = {
    "data.genomes": ["phix174.fa"],
    "data.length": 128,
    "data.global_batch_size": 4,
    "data.split.validation.contigs": [],
    "data.split.validation.fraction": 0.2,
    "data.split.guard": 64,
    "model.model.d_model": 8,
    "model.model.n_layers": 1,
    "model.model.d_state": 2,
    "trainer.max_steps": 4,
    "trainer.val_check_interval": 2,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("vertebrate-0.5m", "A causal Mamba-1 of"),
        ("vertebrate-masked-0.5m", "A bidirectional Mamba-1 of"),
    ],
)
def test_from_a_recipe_to_the_package(
    script: Script,
    samples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    told: str,
) -> None:
    models, pretraining, card = script("model_table"), script("pretraining"), script("model_card")
    rows: Any = script("rows")
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    work = models.Work(models.read_models(), samples, tmp_path, TINY, time.time() + 600)
    job = models.PretrainJob(name, 1)
    pretraining.do_job(work, job)
    row = rows.read_row(tmp_path, job.name)
    assert (row["steps"], row["steps_planned"], row["tokens"]) == (4, 4, 2048)
    assert row["figures"]["perplexity"] == row["figures"]["perplexity phix174"] > 1
    assert row["genomes"] == {"phix174": 5386}
    assert (work.folder(job) / "metrics.csv").is_file()

    monkeypatch.setattr(rows, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(card, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "models.json").write_text("{}")
    with pytest.raises(ValueError, match="collect it first"):
        card.package(work, job, tmp_path / "home")
    rows.merge([tmp_path], "models")
    folder = card.package(work, job, tmp_path / "home")
    assert checkpoint.load(folder)[0].config == checkpoint.load(work.folder(job))[0].config
    text = (folder / "README.md").read_text()
    assert f"{told} {row['parameters']:,} parameters" in text
    whole = row["figures"]["perplexity"]
    assert f"| phix174 | {whole:.3f} | {math.log2(whole):.3f} |" in text
    assert "of 1 genomes, 0 Mb: phix174 (phix174)" in text
    assert "$" not in text
    page = script("models_page").section(tmp_path / "results")
    assert f"| `{name}` | {row['parameters']:,} | 1 | 0 Mb |" in page


def test_the_recipes_of_the_models(script: Script) -> None:
    models: Any = script("model_table")
    known = models.read_models()
    assert [*known] == ["vertebrate-0.5m", "vertebrate-masked-0.5m", "vertebrate-masked-2m"]
    causal, small, large = (model.settings() for model in known.values())
    assert causal["model"]["objective"] == {"name": "next_base"}
    assert small["model"]["objective"]["share"] == large["model"]["objective"]["share"] == 0.15
    assert (small["model"]["model"]["d_model"], large["model"]["model"]["d_model"]) == (128, 256)
    assert (small["trainer"]["max_steps"], large["trainer"]["max_steps"]) == (4000, 5200)
    assert yaml.safe_load(known["vertebrate-masked-2m"].path.read_text()) == large
    for settings in (causal, small, large):
        trainer = settings["trainer"]
        assert trainer["max_steps"] - trainer["val_check_interval"] * 4 in range(4)
    with pytest.raises(ValueError, match="there is no model x"):
        models.jobs_of(known, ["x"])
