"""``dnamamba --print-completion``: what a shell completes by the script, asked of the shell."""

import contextlib
import io
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dnamamba.cli import main
from dnamamba.cli.commands import COMMANDS

pytest.importorskip("shtab", reason="needs the extra completion")

BASH = shutil.which("bash") or pytest.skip("needs bash", allow_module_level=True)
ASKED = {
    "dnamamba em": ["embed"],
    "dnamamba embed --poo": ["--pooling"],
    "dnamamba embed m g.fa o.npz --pooling m": ["mean", "max"],
    "dnamamba embed ref": ["ref.fa"],
    "dnamamba score m ref.fa o.vcf --vcf ref": ["ref.fa"],
    "dnamamba evaluate m ref.fa --dry": ["--dry_run", "--dry-run"],
    "dnamamba fit --model.optimizer.weight": ["--model.optimizer.weight_decay"],
    "dnamamba fit --model.model.family b": ["bimamba", "bimamba-symmetric"],
    "dnamamba fit --config ref": ["ref.fa"],
    "dnamamba fit ref": [],  # it takes nothing without a flag
    "dnamamba predict --both": ["--both_strands"],  # of a model
    "dnamamba predict --data.gen": ["--data.genomes"],  # of a run
    "dnamamba --print": ["--print-completion"],
    "dnamamba --print-completion ": ["bash", "zsh"],
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    scripts = {}
    for shell in ("bash", "zsh"):
        with contextlib.redirect_stdout(io.StringIO()) as text:
            assert main(["--print-completion", shell]) == 0
        scripts[shell] = folder / shell
        scripts[shell].write_text(text.getvalue())
    return scripts


def test_bash_completes(scripts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "ref.fa").touch()
    lines = [f"source {scripts['bash']}"]
    for asked in (*ASKED, "dnamamba "):
        words = shlex.split(asked) + ([""] if asked.endswith(" ") else [])
        lines.append(f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}")
        lines.append('_shtab_dnamamba; echo "${COMPREPLY[@]}"')
    command = [BASH, "--norc", "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    *found, commands = [line.split() for line in done.stdout.splitlines()]
    assert dict(zip(ASKED, found, strict=True)) == ASKED
    assert {*commands} == {"fit", "validate", "test", *COMMANDS}
    assert done.stderr == ""


def test_zsh_reads_its_script(scripts: dict[str, Path]) -> None:
    text = scripts["zsh"].read_text()
    assert text.startswith("#compdef dnamamba\n")
    assert '"--pooling[mean, max or last over a sequence' in text
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("needs zsh")
    assert subprocess.run([zsh, "-n", scripts["zsh"]]).returncode == 0


@pytest.mark.parametrize("shells", [[], ["fish"], ["bash", "zsh"]])
def test_another_shell(shells: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-completion", *shells]) == 2
    assert "--print-completion takes bash or zsh, got " in capsys.readouterr().err


def test_without_shtab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 1
    assert "needs shtab: pip install 'dnamamba[completion]'" in capsys.readouterr().err
