"""A job of each kind at toy size, on the bundled genomes: what its row says."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Script = Callable[[str], ModuleType]

SIZE = {
    "model": {"d_model": 8, "n_layers": 1, "d_state": 2},
    "pretrain_lr": 1e-2,
    "lr_scale": 1.0,
    "seeds": [1],
    "bases_per_second": 1e6,
}
CPU = {"trainer.accelerator": "cpu", "trainer.precision": "32-true"}
SEQUENCES = {
    "data.init_args.files": {"train": "labelled/coding.csv"},
    "data.init_args.labels": {},
    "data.init_args.fields": {"group": "group"},
    "data.init_args.split": {"validation": 0.2, "test": 0.2},
}
VARIANTS = {
    "data.init_args.files": {
        "genome": "arabidopsis_chloroplast.fa",
        "train": "labelled/chloroplast_stops.vcf",
    },
    "data.init_args.fields": {"info": "EFFECT"},
    "data.init_args.labels": {"classes": ["synonymous", "stop"]},
    "data.init_args.checks": {},
    "data.init_args.length": 64,
}
TASKS = {
    "coding": {"title": "coding", "config": "gue.yaml", "metric": "mcc", "bases": 150}
    | {"set": SEQUENCES},
    "stops": {"title": "stops", "config": "brca1.yaml", "metric": "auroc", "bases": 128}
    | {"set": VARIANTS},
}


@pytest.fixture
def do(script: Script, samples: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Do a job with settings; gives back its row."""
    plan, work, dispatch = script("plan"), script("work"), script("dispatch")
    tasks = {name: plan.Task(**task) for name, task in TASKS.items()}
    table = plan.Table({"tiny": plan.Size(**SIZE)}, tasks, [1e-2])

    def done(settings: dict[str, Any], **job: Any) -> dict[str, Any]:
        asked = plan.Job(size="tiny", seed=1, **job)
        end = time.time() + 600
        told = {**CPU, **settings}
        how = work.Work(table, samples, tmp_path, told, 1.0, {"tiny": 2048.0}, {}, end)
        dispatch.do_job(how, asked)
        row: dict[str, Any] = json.loads((tmp_path / "rows" / f"{asked.name}.json").read_text())
        return row

    return done


def test_pretrained_then_scored_then_tuned(
    do: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    genome = {
        "data.genomes": ["phix174.fa"],
        "data.length": 128,
        "data.global_batch_size": 4,
        "data.split.validation.contigs": [],
        "data.split.validation.fraction": 0.2,
        "data.split.guard": 64,
    }
    row = do(genome, kind="pretrain")
    assert (row["steps"], row["tokens"]) == (4, 2048)
    assert row["figures"]["perplexity"] == row["figures"]["perplexity phix174"] > 1
    assert (tmp_path / "pretrained" / "tiny-seed1" / "model.safetensors").is_file()

    row = do({}, kind="zero_shot", task="stops")
    assert 0 < row["figures"]["auroc"] < 1
    assert sum(row["samples"].values()) > 500

    steps = {"trainer.max_steps": 4, "trainer.val_check_interval": 2}
    tuned = {"kind": "finetune", "start": "pretrained", "rate": 1e-2}
    row = do(steps, **tuned, task="stops")
    assert row["best_step"] in (2, 4)
    assert row["figures"]["auroc"] > 0


def test_from_scratch(do: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    steps = {"trainer.max_steps": 40, "trainer.val_check_interval": 20}
    row = do(steps, kind="finetune", task="coding", start="scratch", rate=1e-2)
    assert row["learning_rate"] == 1e-2
    assert row["samples"]["test"] > 0
    assert -1 <= row["figures"]["mcc"] <= 1
    assert row["machine"]["device"]
    assert not list(tmp_path.glob("*.json")), "a row, not a report"
