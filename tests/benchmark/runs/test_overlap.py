"""NVIDIA's server for processes that share a GPU, here a script that does as it does."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dnamamba.benchmark.runs import overlap
from dnamamba.benchmark.runs.overlap import overlapping

# Lives until it is told to quit, on another start's standard input, or by a signal.
CONTROL = """#!{python}
import os, subprocess, sys, time
beside = os.path.dirname(sys.argv[0])
folder = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", beside)
control = os.path.join(folder, "control")
if sys.argv[1:] == ["-f"]:
    with open({log!r}, "a") as log:
        print("began, seeing", os.environ.get("CUDA_VISIBLE_DEVICES"), file=log)
    {does}
    open(control, "w").close()
    while os.path.exists(control):
        time.sleep(0.01)
    sys.exit()
said = sys.stdin.read()
with open({log!r}, "a") as log:
    print("told to", said.strip(), file=log)
if said == "quit\\n":
    os.remove(control)
sys.exit(not os.path.exists(control) if said == "get_server_list\\n" else 0)
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
        monkeypatch.setattr(overlap, "gpus_of", lambda device: ["3"] if device == "cuda" else [])
        return log

    return make


def test_it_serves_while_it_is_needed(server: Server) -> None:
    log = server("pass")
    with overlapping("cuda", 2) as environment:
        folder = Path(environment["CUDA_MPS_PIPE_DIRECTORY"])
        assert (folder / "control").exists()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert not folder.exists()
    assert log.read_text() == "began, seeing None\ntold to quit\n", "it sees every GPU"


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
    (tmp_path / "bin" / "control").touch()
    with overlapping("cuda:0", 2) as environment:
        assert environment == {}
    assert log.read_text() == "told to get_server_list\n"
    log.unlink()
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    with overlapping("cuda:0", 2) as environment:
        assert environment == {}
    assert not log.exists()


def test_of_one_that_is_dead_the_socket_is_left(server: Server, tmp_path: Path) -> None:
    server("pass")
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / "control").touch()
    with overlapping("cuda", 2) as environment:
        assert environment


def test_without_the_program_nothing_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server("pass")
    monkeypatch.setenv("PATH", "")
    with overlapping("cuda", 2) as environment:
        assert environment == {}


def test_a_server_that_may_not_start(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server("sys.exit(1)")
    with overlapping("cuda", 2) as environment:
        assert environment == {}
    assert "runs take turns on the GPU" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("device", "gpus", "works"),
    [
        ("cuda", ["3"], True),
        ("cuda", ["3", "4"], False),
        ("cuda:3", [], True),
        ("cuda:4", [], False),
    ],
)
def test_each_gpu_is_tried_as_workers_call_it(
    device: str, gpus: list[str], works: bool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here number 3 alone can be used, called so or by its place among those that are seen."""
    log = server("pass")
    seen = "os.environ['CUDA_VISIBLE_DEVICES']"
    client = f"import os, sys; sys.exit('3' not in (sys.argv[1], {seen}))"
    monkeypatch.setattr(overlap, "_CLIENT", client)
    monkeypatch.setattr(overlap, "gpus_of", lambda _: gpus)
    if device != "cuda":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,5,6")
    with overlapping(device, 2) as environment:
        assert bool(environment) == works
    assert log.read_text().endswith("told to quit\n")


def test_a_server_that_does_not_quit_is_killed_with_what_it_began(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = "subprocess.Popen(['sleep', '60']).pid"
    server(f"open(beside + '/pid', 'w').write(str({child})); open(control, 'w'); time.sleep(60)")
    monkeypatch.setattr(overlap, "_SECONDS", 1.0)
    with overlapping("cuda", 2) as environment:
        assert environment
    assert _ends(int((tmp_path / "bin" / "pid").read_text()))


def _ends(pid: int) -> bool:
    for _ in range(500):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or " Z " in stat.read_text():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a child of its parent's end")
def test_it_ends_with_a_process_that_is_killed(server: Server, tmp_path: Path) -> None:
    server("open(beside + '/pid', 'w').write(str(os.getpid()))")
    code = (
        "import os\n"
        "from dnamamba.benchmark.runs import overlap\n"
        f"overlap._CLIENT, overlap._USUAL = 'pass', overlap.Path({str(tmp_path / 'usual')!r})\n"
        "overlap.gpus_of = lambda device: []\n"
        "with overlap.overlapping('cuda', 2) as environment:\n"
        "    assert environment\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -9
    assert _ends(int((tmp_path / "bin" / "pid").read_text()))


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
