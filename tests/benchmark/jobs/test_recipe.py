"""Recipes of fine-tuning: what may be said, how long a run is, and what is tried."""

from pathlib import Path
from typing import Any

import pytest

from dnamamba.benchmark.jobs.recipe import RATE, Recipe

STRANDS = "data.init_args.reverse_complement"
OWN = Recipe.read()


def test_the_packages_own() -> None:
    assert OWN.options()
    assert RATE in OWN.settings
    assert OWN.section("trainer")["gradient_clip_val"] > 0
    assert OWN.section("data") == {}
    for option in OWN.options():
        assert option[STRANDS] is option["model.init_args.head.both_strands"]


@pytest.mark.parametrize(
    ("items", "plan"),
    [
        (20, (20, 400, 40, 20)),  # no larger batch than there are items, no shorter run
        (1280, (32, 400, 40, 20)),
        (1600, (32, 500, 50, 25)),
        (7999, (32, 2500, 250, 125)),
        (8000, (128, 620, 62, 31)),  # whole intervals between validations
        (32_378, (128, 2530, 253, 126)),
        (1_000_000, (128, 3000, 300, 150)),
    ],
)
def test_length_of_a_run(items: int, plan: tuple[int, ...]) -> None:
    changes = {"epochs": 10, "steps": {"least": 400, "most": 3000}, "validations": 10}
    recipe = OWN.changed({**changes, "batch": {1: 32, 8000: 128}, "warmup": 0.05})
    assert recipe.plan(items) == plan


def test_a_short_run_is_validated_as_often_as_it_has_steps() -> None:
    assert OWN.changed({"steps.least": 3, "steps.most": 3}).plan(100)[1:3] == (3, 1)


def test_a_file_replaces_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        f"epochs: 3\nsteps: {{least: 5, most: 7}}\nsettings: {{trainer.precision: 32-true}}\n"
        f"choices: {{{RATE}: [1e-3, 4e-3], {STRANDS}: [true, false]}}"
    )
    recipe = Recipe.read(file, {"steps.most": 6, RATE: 2e-3})
    assert recipe.epochs == 3
    assert recipe.steps == {"least": 5, "most": 6}
    assert recipe.settings == {**OWN.settings, "trainer.precision": "32-true", RATE: 2e-3}
    assert [*recipe.choices] == [STRANDS]  # what is set is not chosen
    assert all(RATE not in option for option in recipe.options())
    assert OWN.options() != [{}]


def test_numbers_without_a_point(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        f"choices: {{{RATE}: [1e-3, 2.5E-4]}}\nsettings: {{trainer.precision: 32-true}}"
    )
    recipe = Recipe.read(file)
    assert recipe.choices == {RATE: [1e-3, 2.5e-4]}
    assert recipe.section("trainer")["precision"] == "32-true"


def test_every_combination_is_an_option() -> None:
    choices = {RATE: [1e-3, 2e-3], "epochs": [3, 10], "steps.most": [100]}
    recipe = OWN.changed({"choices": choices, "steps.least": 1})
    options = recipe.options()
    assert len(options) == 4
    assert options[1] == {RATE: 1e-3, "epochs": 10, "steps.most": 100}
    chosen = recipe.with_option(options[1])
    assert (chosen.epochs, chosen.steps["most"]) == (10, 100)
    assert chosen.settings[RATE] == 1e-3
    assert chosen.options() == [{}]


def test_the_digest_tells_recipes_apart() -> None:
    changes: list[dict[str, Any]] = [
        {"epochs": 3},
        {"batch.1": 16},
        {RATE: 1e-3},
        {"trainer.precision": "32-true"},
    ]
    assert len({OWN.changed(change).digest for change in [{}, *changes]}) == 5
    assert Recipe.read().digest == OWN.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "unknown key 'epoch' (did you mean epochs?)"),
        ({"modle.init_args.head.dropout": 0}, "unknown key 'modle.init_args.head.dropout'"),
        ({"epochs": 0}, "epochs must be a number above 0, got 0"),
        ({"epochs": "ten"}, "epochs must be a number above 0, got 'ten'"),
        ({"validations": 2.5}, "validations must be an integer above 0, got 2.5"),
        ({"warmup": 1}, "warmup must be a share of the steps, got 1"),
        ({"warmup": "1 %"}, "warmup must be a share of the steps, got '1 %'"),
        ({"steps": {"least": 3}}, "steps must say least and most"),
        ({"steps": 3}, "steps must be a section, got 3"),
        ({"steps.least": 9, "steps.most": 3}, "steps.least is above steps.most"),
        ({"steps.lest": 9}, "steps must say least and most"),
        ({"batch": {"many": 3}}, "batch must be items: batch"),
        ({"batch": {}}, "batch must be items: batch"),
        ({"batch.1": -1}, "batch.1 must be an integer above 0, got -1"),
        ({"choices": {RATE: 1e-3}}, f"choices.{RATE} must be a list of values, got 0.001"),
        ({"choices": {"epochs": [3, 0]}}, "epochs must be a number above 0, got 0"),
        ({"choices": {"epoch": [3]}}, "unknown key 'epoch'"),
        ({"trainer.max_steps": 7}, "trainer.max_steps is not for the recipe to set; set epochs"),
        ({"model.init_args.model.d_model": 7}, "model.init_args.model.d_model is not for the"),
        ({"data.init_args.global_batch_size": 7}, "is not for the recipe to set; set batch"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="recipe: ") as error:
        OWN.changed(changes)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["- 3", "epochs: 0", "a: b: c", "7"])
def test_a_file_that_is_no_recipe(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=str(file)):
        Recipe.read(file)
    with pytest.raises(ValueError, match=r"none\.yaml is no recipe"):
        Recipe.read(tmp_path / "none.yaml")


def test_a_choice_of_several_settings_together() -> None:
    tried = {f"{STRANDS}, trainer.deterministic": [True, False], RATE: [1e-3]}
    recipe = OWN.changed({"choices": tried})
    assert recipe.options() == [
        {STRANDS: value, "trainer.deterministic": value, RATE: 1e-3} for value in (True, False)
    ]
    assert set(recipe.changed({STRANDS: True}).choices) == {RATE}
    with pytest.raises(ValueError, match="unknown key 'epoch'"):
        OWN.changed({"choices": {f"{RATE}, epoch": [3]}})
