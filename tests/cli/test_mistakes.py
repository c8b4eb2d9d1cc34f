"""Mistyped commands, flags, keys and values: one line that says what was meant."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_cases import config

from dnamamba.cli import main
from dnamamba.cli.errors import explain, nearest


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("data.lenght", "data.length"),
        ("optimizer.lr", "model.optimizer.lr"),
        ("d_modl", "model.model.d_model"),
        ("zebra", None),
    ],
)
def test_nearest(typed: str, meant: str | None) -> None:
    known = ["data.length", "model.optimizer.lr", "model.model.d_model", "trainer.devices"]
    assert nearest(typed, known) == (f"; did you mean {meant}?" if meant else "")


def test_a_type_is_said_in_one_line() -> None:
    message = (
        'Parser key "data.length":\n  Does not validate against any of the Union subtypes\n'
        "  Subtypes: [<class 'int'>, <class 'NoneType'>]\n  Errors:\n    - x\n"
        "  Given value type: <class 'str'>\n  Given value: abc"
    )
    assert explain(message, []) == "data.length: expected one of int, null; got abc"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fti"], "dnamamba fti: there is no such command; did you mean fit?"),
        (
            ["fit", "--data.lenght", "9"],
            "unknown flag --data.lenght; did you mean --data.length",
        ),
        (["fit", "--optimizer.lr=1"], "did you mean --model.optimizer.lr?"),
        (["fit", "--data.length=abc"], "data.length: expected int; got abc"),
        (["fit", "--run_dir=x"], "data.genomes must be given"),
        (["fit", "--config", "no.yaml"], "there is no configuration file no.yaml"),
        (["fit", "--data.tokenizer.name=dna", "--data.genomes=a"], "data.tokenizer.name"),
        (["embed", "a", "b", "c.npz", "--poling", "mean"], "did you mean --pooling?"),
        (["embed", "a", "b", "c.npz", "--pool", "mean"], "did you mean --pooling?"),
        (["embed", "a", "b", "c.npz", "--pooling", "men"], "expected one of 'mean', 'max', "),
        (["fit", "--trainer.max_step", "9"], "did you mean --trainer.max_steps?"),
        (
            ["fit", "--run_dir=x", "--data.genomes=a", "--model.tokenizer.name=byte"],
            "set data.tokenizer.name instead",
        ),
        (["zebra"], "there is no such command; there are fit, validate, test, predict, embed,"),
        (["fit", "--config", "configs"], "cannot read the configuration configs: Is a dir"),
        (["generate", "a"], "output must be given"),
    ],
)
def test_wrong_flags(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"modl": {"model": {}}}, "unknown key modl; did you mean model?"),
        (
            {"data": {"genomes": ["a"], "lenght": 5}},
            "unknown key data.lenght; did you mean data.length?",
        ),
        ({"model": {"model": {"d_modl": 5}}}, "did you mean model.model.d_model?"),
        (
            {"data": {"genomes": ["a"], "split": {"validtion": {"fraction": 0.1}}}},
            "did you mean data.split.validation.fraction?",
        ),
        ({"trainer": {"max_step": 5}}, "did you mean trainer.max_steps?"),
        ({"trainer": {"max_steps": "many"}}, "trainer.max_steps: expected int"),
    ],
)
def test_wrong_keys(
    sections: dict[str, Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = yaml.safe_load(Path(config(tmp_path)).read_text())
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump({**base, **sections}))
    assert main(["fit", "-c", str(tmp_path / "wrong.yaml")]) == 2
    assert said in capsys.readouterr().err


def test_a_configuration_that_is_no_yaml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("data: [1\nmodel: {")
    assert main(["fit", f"--config={tmp_path / 'a.yaml'}"]) == 2
    error = capsys.readouterr().err.strip()
    assert "a.yaml is not YAML" in error
    assert len(error.splitlines()) == 1


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "nowhere", "x.fa"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main(["evaluate", "nowhere", "x.fa", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
