"""What the command line says of itself."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dnamamba.cli import main
from dnamamba.cli.commands import COMMANDS as USE
from dnamamba.cli.short_help import FIRST
from dnamamba.cli.spellings import one_spelling
from dnamamba.cli.use import make_parser

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *("fit", "validate", "test", "predict", "embed", "score", "mutagenesis"),
    *("generate", "evaluate", "report", "probe"),
]
# Every line that shows a command of a model: in the help, the README and the configurations.
SHOWN = [
    match[1].partition("   ")[0].rstrip()
    for text in [
        *("\n".join(command.examples) for command in USE.values()),
        *((ROOT / name).read_text() for name in ("README.md", "dnamamba/cli/__init__.py")),
        *(path.read_text() for path in sorted((ROOT / "configs").glob("*.yaml"))),
    ]
    for match in re.finditer(rf"(dnamamba ({'|'.join(USE)}) [^-`\n][^`\n]*)", text)
]


def test_the_overview_is_there_without_torch() -> None:
    script = (
        "import sys, dnamamba.cli\n"
        "status = dnamamba.cli.main(['--help'])\n"
        "heavy = {'torch', 'pytorch_lightning', 'numpy', 'jsonargparse'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else status)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "dnamamba fit --config configs/quickstart.yaml" in done.stdout
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: dnamamba {command}" in said
    if command in ("fit", "validate", "test", "predict"):
        assert "--model.optimizer.lr" in said
        assert "--data.split.validation.fraction" in said
    else:
        assert f"examples:\n  dnamamba {command} " in said


@pytest.mark.parametrize("line", dict.fromkeys(SHOWN))
def test_what_is_shown_is_in_the_one_spelling(line: str) -> None:
    _, command, *arguments = shlex.split(line)
    module, _, name = USE[command].function.partition(":")
    parser = make_parser(command, getattr(import_module(module), name))
    assert one_spelling(command, arguments, parser) == (arguments, None)
    parser.parse_args(arguments)


def test_inference_does_not_wait_for_lightning() -> None:
    script = (
        "import sys, dnamamba.cli\n"
        "try: dnamamba.cli.main(['embed', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('pytorch_lightning' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dnamamba 0.")


@pytest.mark.parametrize("command", ["fit", "test"])
def test_what_a_user_sets_first_is_on_one_page(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as stop:
            main([command, flag])
        assert stop.value.code == 0
        said[flag] = capsys.readouterr().out
    assert len(said["--help"].splitlines()) < 100
    assert max(map(len, said["--help"].splitlines())) <= 100
    for name in [name for names in FIRST.values() for name in names]:
        for text in said.values():
            assert f"--{name}" in text
    assert "--trainer.detect_anomaly" in said["--help-all"]
    assert "--trainer.detect_anomaly" not in said["--help"]


def test_of_a_class_the_page_says_where_its_settings_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(ROOT / "configs/finetune-sequence.yaml"), "--help"])
    said = capsys.readouterr().out
    assert "--run_dir" in said
    assert "--trainer.max_steps" in said
    assert "--model.help" in said
