"""What the command line says of itself."""

import subprocess
import sys

import pytest

from dnamamba.cli import main

COMMANDS = ["fit", "validate", "test", "predict", "embed", "generate", "evaluate", "report"]


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
