"""What docs/sharing.md shows works: settings, commands, code, and the sections of a card."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cards import CARD, Base, CardSettings, DataFile, Facts, card
from dnamamba.cli.use import make_parser
from dnamamba.commands.push import push
from dnamamba.model.about import about
from dnamamba.model.language_model import LanguageModel
from dnamamba.training.callbacks import ExportModel

PAGE = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text()


def test_the_settings_are_settings() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    settings = CardSettings(**yaml.safe_load(text)["card"])
    assert settings.license == "apache-2.0"
    assert settings.about
    assert all(f"{name}:" in text for name in vars(settings))


def test_the_commands_are_understood() -> None:
    lines = re.findall(r"^dnamamba push ([^#\n]*)", PAGE, re.MULTILINE)
    assert len(lines) == 3
    parser = make_parser("push", push)
    given = [parser.parse_args(shlex.split(line)) for line in lines]
    assert {each.repo for each in given} == {"owner/quickstart"}
    assert given[1].private
    assert given[2].message == "Trained for longer"
    assert "`--license`" in PAGE


def test_the_code_runs(
    tmp_path: Path,
    model: LanguageModel,
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save("shared", model, tokenizer)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["vectors"].shape == (1, 32)
    assert "Pretrained(shared: mamba, causal; d_model 32" in capsys.readouterr().out
    (callback,) = re.findall(r"`(ExportModel\(.*?\))` of", PAGE)
    made = eval(callback, {"ExportModel": ExportModel, "CardSettings": CardSettings})
    assert made.settings.license == "mit"


def test_every_section_of_a_card_is_described(model: LanguageModel) -> None:
    told = Facts(
        "whole",
        about(model),
        files=(DataFile("genome", "a.fa", 1, "0" * 64),),
        recipe={"data": {"length": 64}},
        figures={"loss": 1.0},
        base=Base("base"),
    )
    sections = re.findall(r"^## (.*)$", card(told), re.MULTILINE)
    assert len(sections) == 6
    described = re.findall(r"^\| ([A-Za-z ]+) \| ", PAGE, re.MULTILINE)
    assert [name for name in described if name in sections] == sections
    assert f"`{CARD}`" in PAGE
