"""NVIDIA's server for processes that share a GPU, here a script that does as it does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dnamamba.benchmark.runs import overlap
from dnamamba.benchmark.runs.overlap import overlapping

# Lives until it is told to quit, on another start's standard input, or by a signal.
CONTROL = """#!{python}
import os, sys, time
folder = os.environ["CUDA_MPS_PIPE_DIRECTORY"]
control = os.path.join(folder, "control")
with open({log!r}, "a") as log:
    print(*sys.argv[1:], os.environ.get("CUDA_VISIBLE_DEVICES"), file=log)
if sys.argv[1:] == ["-f"]:
    {does}
    open(control, "w").close()
    while os.path.exists(control):
        time.sleep(0.01)
elif sys.stdin.read() == "quit\\n":
    os.remove(control)
"""
IN_USE = "import os, sys; sys.exit(not os.path.exists(os.environ['CUDA_MPS_PIPE_DIRECTORY']))"

Server = Callable[[str], Path]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    def make(does: str = "pass") -> Path:
        log = tmp_path / "log"
        program = tmp_path / "bin" / "nvidia-cuda-mps-control"
        program.parent.mkdir()
        program.write_text(CONTROL.format(python=sys.executable, log=str(log), does=does))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
        monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
        monkeypatch.setattr(overlap, "_USUAL", tmp_path / "usual")
        monkeypatch.setattr(overlap, "_CLIENT", IN_USE)
        return log

    return make


def test_it_serves_while_it_is_needed(server: Server) -> None:
    log = server("pass")
    with overlapping("cuda", 2) as environment:
        folder = Path(environment["CUDA_MPS_PIPE_DIRECTORY"])
        assert (folder / "control").exists()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert not folder.exists()
    assert log.read_text() == "-f None\nNone\n", "it sees every GPU, and was told to quit"


@pytest.mark.parametrize(("device", "processes"), [("cpu", 8), ("cuda", 1)])
def test_nobody_needs_it(device: str, processes: int, server: Server) -> None:
    log = server("pass")
    with overlapping(device, processes) as environment:
        assert environment == {}
    assert not log.exists()


def test_of_somebody_else_s_none_is_begun(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = server("pass")
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / "control").touch()
    with overlapping("cuda:0", 2) as environment:
        assert environment == {}
    (tmp_path / "usual" / "control").unlink()
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    with overlapping("cuda:0", 2) as environment:
        assert environment == {}
    assert not log.exists()


def test_without_the_program_nothing_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server("pass")
    monkeypatch.setenv("PATH", "")
    with overlapping("cuda", 2) as environment:
        assert environment == {}


def test_a_server_that_may_not_start(server: Server) -> None:
    server("sys.exit(1)")
    with overlapping("cuda", 2) as environment:
        assert environment == {}


def test_a_server_whose_clients_find_no_gpu(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = server("pass")
    monkeypatch.setattr(overlap, "_CLIENT", "raise SystemExit(1)")
    with overlapping("cuda", 2) as environment:
        assert environment == {}
    assert "-f" in log.read_text()


def test_a_server_that_does_not_quit_is_killed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server("open(control, 'w').close(); time.sleep(60)")
    monkeypatch.setattr(overlap, "_SECONDS", 1.0)
    began: list[subprocess.Popen[bytes]] = []
    start = overlap._started

    def started(*rest: str) -> "subprocess.Popen[bytes] | None":
        process = start(*rest)  # type: ignore[arg-type]
        assert process is not None
        began.append(process)
        return process

    monkeypatch.setattr(overlap, "_started", started)
    with overlapping("cuda", 2) as environment:
        assert environment
    assert began[0].returncode == -9


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a child of its parent's end")
def test_it_ends_with_a_process_that_is_killed(server: Server, tmp_path: Path) -> None:
    server("print(os.getpid(), file=open(os.path.join(os.path.dirname(sys.argv[0]), 'pid'), 'w'))")
    code = (
        "import os\n"
        "from dnamamba.benchmark.runs import overlap\n"
        f"overlap._CLIENT, overlap._USUAL = 'pass', overlap.Path({str(tmp_path / 'usual')!r})\n"
        "with overlap.overlapping('cuda', 2) as environment:\n"
        "    assert environment\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -9
    pid = int((tmp_path / "bin" / "pid").read_text())
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        overlap.time.sleep(0.01)
    pytest.fail("it goes on")


@pytest.mark.gpu
def test_processes_on_a_gpu_go_by_it() -> None:
    """Where the system has the program: a kernel of a client gives what it should."""
    code = "import torch; print(int(torch.arange(1000, device='cuda').sum()))"
    with overlapping("cuda", 2) as environment:
        if not environment:
            pytest.skip("there is no server of NVIDIA's, or it is not allowed to work")
        both = {**os.environ, **environment}
        said = subprocess.run(
            [sys.executable, "-c", code], env=both, capture_output=True, timeout=60
        )
    assert said.stdout == b"499500\n", said.stderr
