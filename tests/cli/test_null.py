"""A setting of several values that a configuration gives as null is left at its defaults."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_cases import config

from dnamamba.cli.errors import UsageError
from dnamamba.cli.training import TrainingCLI
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.labelled import Fields, Labels, Length, Split
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.tuning import TuningConfig


def test_of_a_genome_s_data(tmp_path: Path) -> None:
    split = {"validation": {"fraction": 0.2}, "test": None}
    path = config(tmp_path, data={"windows": None, "split": split}, model={"optimizer": None})
    cli = TrainingCLI("fit", ["--config", path])
    data: Any = cli.datamodule
    assert data.window_config == WindowConfig()
    assert data.split == GenomeSplit(validation=Part(fraction=0.2))
    assert cli.model.optimizer == OptimizerConfig()


@pytest.mark.parametrize("value", [0.1, ["a"], "a", True])
def test_what_is_no_settings_is_refused(value: Any, tmp_path: Path) -> None:
    path = config(tmp_path, data={"split": {"validation": value}})
    with pytest.raises(UsageError, match=r"data\.split\.validation.*"):
        TrainingCLI("fit", ["--config", path])


@pytest.mark.parametrize("names", [["split"], ["fields", "labels", "split", "length", "tokenizer"]])
def test_of_a_class_s_arguments(names: list[str], tmp_path: Path) -> None:
    content = yaml.safe_load(Path("configs/finetune-sequence.yaml").read_text())
    content["run_dir"] = str(tmp_path / "run")
    content["trainer"] |= {"accelerator": "cpu", "devices": 1}
    content["data"]["init_args"] |= dict.fromkeys(names)
    content["model"]["init_args"] |= {"optimizer": None, "tuning": {"lora": None}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    cli = TrainingCLI("fit", ["--config", str(path)])
    data: Any = cli.datamodule
    defaults = {"fields": Fields(), "labels": Labels(), "split": Split.none(), "length": Length()}
    for name in names:
        assert getattr(data, name) == defaults.get(name, data.tokenizer)
    assert cli.model.optimizer == OptimizerConfig()
    assert cli.model.tuning == TuningConfig()
