"""What docs/sweeps.md shows works: loggers are made, commands understood, the script runs."""

import re
import runpy
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cli_cases import config

from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.training import TrainingCLI
from dnamamba.cli.use import make_parser

PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
LINES = re.findall(
    r"^ *dnamamba (\w+) (.*)$",
    PAGE.replace("\\\n", " ").replace(" -o ", " --output "),
    re.MULTILINE,
)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.findall(r"\w+Logger", block)[-1])
def test_loggers_are_made(block: str, tmp_path: Path) -> None:
    for name, module in (("TensorBoard", "tensorboardX"), ("Wandb", "wandb")):
        if name in block:
            pytest.importorskip(module, reason=f"needs {module}")
    (tmp_path / "loggers.yaml").write_text(block)
    cli = TrainingCLI("fit", ["-c", config(tmp_path), "-c", str(tmp_path / "loggers.yaml")])
    made = [type(logger).__name__ for logger in cli.trainer.loggers]
    assert made == ["MetricsFile", *re.findall(r"class_path: (\w+)", block)]


def test_commands_are_understood(tmp_path: Path) -> None:
    (tmp_path / "loggers.yaml").write_text(BLOCKS[-1].replace("TensorBoardLogger", "CSVLogger"))
    for command, line in LINES:
        line = re.sub(r"runs/(seed|fold)-\$\w+", str(tmp_path / "run"), line)
        line = re.sub(r"\$(seed|fold)", "1", line).replace(
            " loggers.yaml", f" {tmp_path}/loggers.yaml"
        )
        if command == "fit":
            cli = TrainingCLI("fit", [*shlex.split(line), "--trainer.accelerator=cpu"])
            assert "split" not in line or cli.datamodule.split.folds == 5
        elif command != "test":  # of what the run has left
            module, _, name = COMMANDS[command].function.partition(":")
            parser = make_parser(command, getattr(import_module(module), name))
            assert parser.parse_args(shlex.split(line)).folds == 5
    assert {command for command, _ in LINES} == {"fit", "test", "benchmark", "probe"}


class Pruned(Exception):  # noqa: N818 (its name there)
    """As optuna's."""


class Trial:
    """Of two one is refused."""

    def __init__(self, number: int) -> None:
        self.number = number

    def suggest_float(self, name: str, low: float, high: float, log: bool) -> float:
        return high

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return [8, 0][self.number]


class Study:
    def __init__(self, **_: Any) -> None:
        self.values: list[float | None] = []

    def optimize(self, objective: Any, n_trials: int) -> None:
        for number in range(n_trials):
            try:
                self.values.append(objective(Trial(number)))
            except Pruned:
                self.values.append(None)
        self.best_value, self.best_params = self.values[0], {"d_model": 8}
        self.best_trial = SimpleNamespace(number=0)


@pytest.mark.filterwarnings("ignore")  # those of its database
@pytest.mark.parametrize("library", ["stand-in", "optuna"])
def test_the_search(
    library: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if library == "optuna":
        pytest.importorskip("optuna", reason="needs optuna, which no extra installs")
    else:
        module: Any = ModuleType("optuna")
        module.create_study, module.TrialPruned = Study, Pruned
        monkeypatch.setitem(sys.modules, "optuna", module)
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "sweep.py").write_text(script)
    monkeypatch.setattr(sys, "argv", ["sweep.py", config(tmp_path), str(tmp_path / "runs"), "2"])
    runpy.run_path(str(tmp_path / "sweep.py"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"trial [01]: \d\.\d{4} with {.*'d_model': \d+}", last)
    runs = sorted(run.name for run in (tmp_path / "runs").glob("trial-*/metrics.csv"))
    assert len(runs) == (2 if library == "optuna" else 1)
