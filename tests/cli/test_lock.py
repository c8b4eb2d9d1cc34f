"""One run folder, one writer: at once, and after a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_cases import config

from dnamamba.cli import main
from dnamamba.cli.lock import only_writer

# Holds the lock, as does what it has forked to read data, until it is killed.
HOLDER = """
import os, sys, time
from dnamamba.cli.lock import only_writer
with only_writer(sys.argv[1]):
    reader = os.fork()
    if reader:
        print(reader, flush=True)
    time.sleep(60)
"""


def test_a_second_start_is_refused_until_the_first_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = config(tmp_path), tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        reader = int(holder.stdout.readline())
        for flags in ([], ["--overwrite"], ["--ckpt_path", "last"]):
            assert main(["fit", "-c", path, *flags]) == 1
            error = capsys.readouterr().err
            assert f"{run} is being written by another run (process {holder.pid} on " in error
        holder.kill()
    # The process that was forked still lives, and the lock is gone.
    with only_writer(run):
        os.kill(reader, signal.SIGKILL)
    assert not run.exists() or not list(run.iterdir())


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with only_writer(tmp_path), only_writer(tmp_path / "new" / "run"):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_the_lock_of_a_run_that_fails_is_let_go(tmp_path: Path) -> None:
    assert main(["fit", "-c", config(tmp_path), "--data.length=8192"]) == 1
    assert not list(tmp_path.rglob(".lock"))
