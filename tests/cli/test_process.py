import atexit
import errno
import inspect
import io
import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from dnamamba import cli
from dnamamba.cli import process
from dnamamba.cli.commands import COMMANDS


class _Full(io.StringIO):
    """A stream to a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        self.write("")


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ends the process, in order, in place of its end."""
    ends: list[str] = []
    monkeypatch.setattr(process, "GPUS", ())
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: ends.append("last functions"))
    monkeypatch.setattr(os, "_exit", lambda status: ends.append(f"status {status}"))
    monkeypatch.delitem(sys.modules, "pytorch_lightning", raising=False)
    return ends


def test_a_command_that_used_a_model_ends_at_once(
    ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "main", lambda: 0)
    with pytest.raises(SystemExit):  # os._exit does not come back
        process.program()
    assert ends == ["last functions", "status 0"]


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_was_closed_before_the_start_is_no_error(
    closed: str, ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "main", lambda: 0)
    monkeypatch.setattr(sys, closed, None)
    with pytest.raises(SystemExit):
        process.program()
    assert ends == ["last functions", "status 0"]


def test_a_full_disk_at_the_end_is_left_to_python(
    ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "main", lambda: 0)
    with monkeypatch.context() as context:
        context.setattr(sys, "stdout", _Full())
        with pytest.raises(SystemExit):
            process.program()
    assert ends == ["last functions"]


@pytest.mark.parametrize("words", ["--version", "--help", ""])
def test_a_full_disk_is_said_in_one_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as context:
        context.setattr(sys, "stdout", _Full())
        assert cli.main(words.split()) == 1
    assert re.fullmatch(r"dnamamba [-a-z]+: .*No space left on device\n", capsys.readouterr().err)


@pytest.mark.parametrize(("status", "lightning"), [(1, False), (130, False), (0, True)])
def test_an_error_and_a_run_end_as_python_does(
    ends: list[str], monkeypatch: pytest.MonkeyPatch, status: int, lightning: bool
) -> None:
    monkeypatch.setattr(process, "main", lambda: status)
    if lightning:
        monkeypatch.setitem(sys.modules, "pytorch_lightning", sys)
    with pytest.raises(SystemExit) as stop:
        process.program()
    assert stop.value.code == status
    assert not ends


def test_what_was_printed_is_there_and_a_closed_pipe_is_an_error() -> None:
    command = [sys.executable, "-m", "dnamamba", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("usage: dnamamba COMMAND")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        assert subprocess.run(command, stdout=closed, stderr=subprocess.DEVNULL).returncode


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("embed model genome.fa vectors.npz", True),
        ("predict model new.fa labels.tsv", True),
        ("predict --config run.yaml", False),  # of a run, whose trainer says where
        ("embed model genome.fa vectors.npz --device cpu", False),
        ("embed model genome.fa vectors.npz --device=cuda:1", False),
        ("embed --help", False),
        ("convert model other", False),  # files alone
        ("fit --config run.yaml", False),
        ("", False),
    ],
)
def test_a_gpu_is_made_ready_where_it_will_be_used(
    words: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert process._takes_first_gpu(words.split()) is first
    monkeypatch.setenv("RANK", "1")
    assert not process._takes_first_gpu(words.split())


def test_what_takes_a_device_is_said_in_the_table() -> None:
    for name, command in COMMANDS.items():
        module, _, function = command.function.partition(":")
        parameters = inspect.signature(getattr(import_module(module), function)).parameters
        assert command.on_device == ("device" in parameters), name
