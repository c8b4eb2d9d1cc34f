"""Which runs the table still asks for: nothing twice, nothing before its learning rate is known."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Script = Callable[[str], ModuleType]


@pytest.fixture
def plan(script: Script) -> ModuleType:
    return script("plan")


@pytest.fixture
def table(plan: ModuleType) -> Any:
    return plan.Table.read()


def row(job: Any) -> dict[str, Any]:
    """What a run leaves; the lower learning rate is the better one from the pretrained model."""
    return {"validation": job.rate if job.start == "scratch" else -job.rate}


def test_every_task_names_its_configuration_and_its_metric(table: Any) -> None:
    for task in table.tasks.values():
        settings = task.settings(task.fold(0))
        assert settings["model"]["init_args"]["monitor"] == task.metric
        steps = settings["trainer"]
        assert steps["max_steps"] % steps["val_check_interval"] == 0, "the last weights count too"


def test_learning_rates_come_first(table: Any) -> None:
    jobs = [job for job in table.missing({}) if job.kind == "finetune"]
    assert {(job.size, job.seed, job.fold) for job in jobs} == {("small", 1, 0)}
    assert len(jobs) == 2 * 2 * len(table.tasks)


def test_a_row_is_never_run_again_and_every_run_comes(plan: ModuleType, table: Any) -> None:
    rows: dict[str, Any] = {}
    while jobs := table.missing(rows):
        assert jobs[0].name not in rows
        rows[jobs[0].name] = row(jobs[0])
    rates = {start: plan.chosen_rate(table, rows, "tf0", start) for start in plan.STARTS}
    assert rates == {"pretrained": 1e-3, "scratch": 4e-3}
    tf0 = [name for name in rows if name.startswith("finetune.tf0.")]
    assert len(tf0) == 2 * (3 + 1) + 2  # two of the learning rates were not chosen
    folds = [name for name in rows if name.startswith("finetune.promoters.large.pretrained")]
    assert len(folds) == 5
    assert sum(name.startswith("zero_shot") for name in rows) == 4


def test_the_estimate_goes_down_to_nothing(table: Any) -> None:
    rows: dict[str, Any] = {}
    before, seconds = table.estimate(rows)
    assert seconds > 0
    while jobs := table.missing(rows):
        rows.update((job.name, row(job)) for job in jobs)
    assert table.estimate(rows)[1] < seconds / 2
    assert sum(name.startswith("finetune") for name in rows) == before
