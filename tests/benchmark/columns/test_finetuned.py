"""Fine-tuning in the benchmark: choices by the validation part alone, the test part read once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_cases import SIZES, task_of, tuned, variant_task, write_part

from dnamamba import checkpoint
from dnamamba.benchmark.columns import check_recipe, measured, run
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.recipe import RATE
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.tasks.task import Task
from dnamamba.data.modules.sequences import LabelledSequenceDataModule

Make = Callable[..., Job]


@pytest.fixture
def tests(monkeypatch: pytest.MonkeyPatch) -> list[run.Run]:
    """The runs of which the test part was read."""
    seen: list[run.Run] = []

    def tested(job: Job, work: Work, of: run.Run) -> Any:
        seen.append(of)
        return original(job, work, of)

    original = run.tested
    monkeypatch.setattr("dnamamba.benchmark.columns.finetuned.tested", tested)
    return seen


def with_changes(work: Work, changes: dict[str, Any]) -> Work:
    return replace(work, recipe=work.recipe.changed(changes))


def test_the_first_seed_tries_every_choice_and_tests_once(
    job: Make, work: Work, tests: list[run.Run]
) -> None:
    row = tuned(job("model", "one"), work)
    assert [each["chosen"] for each in row["tried"]] == work.recipe.options()
    assert len(row["tried"]) > 1
    values = [each["validation"] for each in row["tried"]]
    best = values.index(max(values))
    assert row["chosen"] == row["tried"][best]["chosen"]
    assert row["validation"] == max(values) == max(value for _, value in row["curve"])
    assert [step for step, _ in row["curve"]] == [2, 4, 6, 8]
    assert dict(row["curve"])[row["best_step"]] == row["validation"]
    assert row["samples"] == SIZES
    assert {"mcc", "auroc"} < row["figures"].keys()
    assert len(tests) == 1


def test_choices_are_tried_in_shorter_runs(job: Make, work: Work, tests: list[run.Run]) -> None:
    row = tuned(job("model", "one"), with_changes(work, {"trial": 0.5}))
    values = [each["validation"] for each in row["tried"]]
    assert row["chosen"] == row["tried"][values.index(max(values))]["chosen"]
    assert [[step for step, _ in each["curve"]] for each in row["tried"]] == [[1, 2, 3, 4]] * 4
    assert [step for step, _ in row["curve"]] == [2, 4, 6, 8]
    assert len(tests) == 1
    assert tests[0].share == 1
    # What is chosen already is run whole at once.
    alone = tuned(job("model", "one"), with_changes(work, {**row["chosen"], "trial": 0.5}))
    assert alone["curve"] == row["curve"]


def test_the_weights_of_the_best_validation_are_tested(
    job: Make, work: Work, tests: list[run.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: dict[int, dict[str, torch.Tensor]] = {}

    def noted(self: Any, trainer: Any, pl_module: Any) -> None:
        states[trainer.global_step] = {k: x.clone() for k, x in pl_module.state_dict().items()}
        original(self, trainer, pl_module)

    original = run.BestWeights.on_validation_end
    monkeypatch.setattr(run.BestWeights, "on_validation_end", noted)
    one_choice = {RATE: 4e-3, "data.init_args.reverse_complement": True}
    row = tuned(job("scratch", "one"), with_changes(work, one_choice))
    assert row["best_step"] < row["steps"]  # else this says nothing
    (tested,) = tests
    weights = tested.module.state_dict()
    assert all(weights[name].equal(x) for name, x in states[row["best_step"]].items())


def test_another_test_part_changes_no_choice(job: Make, work: Work, root: Path) -> None:
    one = tuned(job("scratch", "one"), work)
    write_part(root / "test.csv", SIZES["test"], 7, swapped=True)
    two = tuned(job("scratch", "one"), work)
    assert two["tried"] == one["tried"]
    assert two["figures"]["mcc"] == pytest.approx(-one["figures"]["mcc"], abs=0.6)
    assert two["figures"]["loss"] != one["figures"]["loss"]


def test_a_doctored_validation_part_decides(
    job: Make, work: Work, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What validates worst against true labels validates best against swapped ones."""
    monkeypatch.setattr(run.BestWeights, "on_validation_end", _last_alone)
    more_steps = {"steps.least": 16, "steps.most": 16}
    work = with_changes(work, {"choices": {RATE: [1e-5, 2e-2]}, **more_steps})
    assert tuned(job("model", "one"), work)["chosen"] == {RATE: 2e-2}
    write_part(root / "validation.csv", SIZES["validation"], 1, swapped=True)
    assert tuned(job("model", "one"), work)["chosen"] == {RATE: 1e-5}


def _last_alone(self: Any, trainer: Any, pl_module: Any) -> None:
    if trainer.global_step == trainer.max_steps:
        self.value, self.step = float(trainer.callback_metrics[self._monitor]), trainer.global_step
        self.weights = pl_module.state_dict()


def test_the_other_seeds_do_as_the_first(job: Make, work: Work) -> None:
    chosen = {RATE: 4e-3}
    rows = ({"chosen": chosen, "validation": 0.0},)
    second = replace(job("model", "one", seed=2), rows=rows)
    assert second.after == (job("model", "one").key,)
    made = [measured(second, work) for _ in range(2)]
    assert [each["chosen"] for each in made[0]["tried"]] == [chosen]
    for row in made:
        del row["seconds"]
    assert made[0] == made[1]
    third = replace(job("model", "one", seed=3), rows=rows)
    assert measured(third, work)["curve"] != made[0]["curve"]


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_start_alone_differs(
    job: Make, work: Work, models: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {}
    monkeypatch.setattr(run.pl.Trainer, "fit", _no_training)
    work = with_changes(work, {RATE: 1e-3})
    for column in ("scratch", "model"):
        typed = job(column, name)
        with pytest.raises(ValueError, match="no mcc of the validation part"):
            tuned(typed, work)
        modules[column] = _fitted.pop()
    settings = [dict(module.hparams) for module in modules.values()]
    assert settings[0].pop("started_from") is None
    assert settings[1].pop("started_from") == str(models / name)
    assert settings[0] == settings[1]
    trained = checkpoint.load(models / name)[0].backbone.state_dict()
    starts = [module.start.weights for module in modules.values()]
    assert starts[0] is None
    assert all(x.equal(trained[key]) for key, x in starts[1].items())


_fitted: list[Any] = []


def _no_training(trainer: Any, module: Any, datamodule: Any) -> None:
    _fitted.append(module)


def test_learning_rates_are_those_of_a_width(
    job: Make, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.pl.Trainer, "fit", _no_training)
    with pytest.raises(ValueError, match="no mcc"):
        tuned(job("scratch", "one"), with_changes(work, {RATE: 1e-3, "width": 64}))
    settings = _fitted.pop().optimizer
    assert settings.lr == pytest.approx(1e-3 * 64 / 16)
    assert settings.warmup_steps == round(0.05 * 8)


def test_a_choice_that_fails_is_not_taken(job: Make, work: Work) -> None:
    work = with_changes(work, {"choices": {RATE: [1e20, 1e-3]}})
    row = tuned(job("scratch", "one"), work)
    assert row["chosen"] == {RATE: 1e-3}
    assert row["tried"][0]["validation"] is None
    assert "step" in row["tried"][0]["failed"]


def test_where_every_choice_fails_the_column_does(
    job: Make, work: Work, tests: list[run.Run]
) -> None:
    for changes in ({"choices": {RATE: [1e20, 2e20]}}, {RATE: 1e20, "choices": {}}):
        with pytest.raises(ValueError, match=r"no mcc of the validation part .*step"):
            tuned(job("scratch", "one"), with_changes(work, changes))
    assert not tests


@pytest.mark.parametrize(("metric", "best"), [("mcc", 1), ("loss", 2)])
def test_the_best_trial_is_run_whole(job: Make, work: Work, metric: str, best: int) -> None:
    """Of equal ones the first; one without a figure loses, and figures of 0 are some."""
    options = work.recipe.options()
    values = [None, 0.5, 0.0, 0.5 if metric == "mcc" else 0.0]
    trials = tuple(
        {"chosen": option, "validation": value, "curve": [[1, value]], "seconds": 1.0}
        for option, value in zip(options, values, strict=True)
    )
    files = {part: f"{part}.csv" for part in SIZES}
    first = replace(job("scratch", "one", task=task_of({"files": files}, metric)), rows=trials)
    row = measured(first, work)
    assert row["chosen"] == options[best]
    assert row["tried"] == [
        {name: trial[name] for name in ("chosen", "validation", "curve")} for trial in trials
    ]


def test_a_trial_reads_no_test_part(job: Make, work: Work, tests: list[run.Run]) -> None:
    row = measured(job("scratch", "one", choice=2), work)
    assert not tests
    assert row["chosen"] == work.recipe.options()[2]
    assert "figures" not in row


def test_any_part_of_the_recipe_may_be_chosen(job: Make, work: Work) -> None:
    choices = {"epochs": [1, 3], "model.init_args.head.dropout": [0.0]}
    work = with_changes(work, {"choices": choices, "steps.least": 1, RATE: 1e-3, "batch.1": 16})
    row = tuned(job("scratch", "one"), work)
    assert [each["curve"][-1][0] for each in row["tried"]] == [3, 8]


def test_data_are_read_once(job: Make, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    original = LabelledSequenceDataModule.read_labelled

    def read(self: Any) -> Any:
        reads.append(self)
        return original(self)

    monkeypatch.setattr(LabelledSequenceDataModule, "read_labelled", read)
    for seed in (2, 3):
        first = {"chosen": {RATE: 1e-3}, "validation": 0.5}
        again = replace(job("scratch", "one", seed=seed), rows=(first,))
        measured(again, work)
    assert len(reads) == 1


def test_no_validation_part(job: Make, work: Work, root: Path) -> None:
    files = {"train": "train.csv", "test": "test.csv"}
    with pytest.raises(ValueError, match="own/small has no validation part"):
        tuned(job("scratch", "one", task=task_of({"files": files})), work)


def test_a_metric_that_the_labels_do_not_have(job: Make, work: Work) -> None:
    task = task_of({"files": {part: f"{part}.csv" for part in SIZES}}, "pearson")
    with pytest.raises(ValueError, match="pearson"):
        tuned(job("scratch", "one", task=task), work)


def test_numbers(job: Make, work: Work) -> None:
    files = {part: f"{part}.csv" for part in SIZES}
    task = task_of({"files": files, "labels": {"kind": "number"}}, "mse")
    row = tuned(job("scratch", "one", task=task), work)
    values = [each["validation"] for each in row["tried"]]
    assert row["validation"] == min(values)
    assert row["figures"]["mse"] > 0


def test_recipes_are_checked_before(work: Work, task: Task) -> None:
    for given in (task, variant_task()):
        check_recipe(work.recipe, given)
    check_recipe(work.recipe.changed({"model.init_args.head.region": "window"}), variant_task())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer.precison": "32-true"}, "Trainer has no trainer.precison; did you mean"),
        ({"data.init_args.lenght": {}}, "LabelledSequenceDataModule has no data.init_args.lenght"),
        ({"model.init_args.hed.dropout": 0.1}, "did you mean model.init_args.head?"),
        ({"model.init_args.head.dropuot": 0.1}, "dropuot"),
        ({"choices": {"model.init_args.head.dropout": [0.1, 3]}}, "head.dropout must be in"),
        ({"model.init_args.head.region": "window"}, "region"),
    ],
)
def test_settings_that_no_module_has(
    changes: dict[str, Any], message: str, work: Work, task: Task
) -> None:
    with pytest.raises(ValueError, match="recipe: ") as error:
        check_recipe(work.recipe.changed(changes), task)
    assert message in str(error.value)
