"""Which implementation a call gets, and that it says so once."""

import logging
import os
import re
import subprocess
import sys

import pytest
import torch
from kernels_cases import scan_case

from dnamamba_kernels import backend, selective_scan

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_default", "")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(backend, "_numba_missing", lambda: "numba is not installed")
    backend._automatic.cache_clear()


def test_the_cpu_gets_torch_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dnamamba_kernels"):
        assert [backend.choose(None, CPU) for _ in range(3)] == ["torch"] * 3
    (record,) = caplog.records
    assert "cpu: ops run on the torch backend (numba is not installed)" in record.getMessage()


def test_the_cpu_gets_numba_where_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backend, "_numba_missing", lambda: "")
    with caplog.at_level(logging.INFO, "dnamamba_kernels"):
        assert backend.choose(None, CPU) == "numba"
    assert "cpu: ops run on the numba backend" in caplog.text
    assert backend.choose("numba", CPU, torch.bfloat16) == "numba"
    assert backend.choose(None, CPU, torch.float64) == "torch"
    assert backend.choose("numba", CPU, torch.float64) == "torch"
    assert backend.choose(None, torch.device("mps")) == "torch"


def test_numba_is_refused_by_name_where_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r'"numba" cannot run here: .*installed; use backend="tor'):
        backend.choose("numba", CPU)
    monkeypatch.setattr(backend, "_numba_missing", lambda: "")
    with pytest.raises(ValueError, match="numba needs the CPU, the tensors are on cuda:0"):
        backend.choose("numba", torch.device("cuda:0"))


@pytest.mark.parametrize(("error", "why"), [
    (ModuleNotFoundError("No module named 'numba'"), r"not installed \(pip install 'dnamamba\[cpu"),
    (ImportError("Numba needs NumPy 2.5 or less"), "cannot be imported .Numba needs NumPy 2.5"),
])  # fmt: skip
def test_a_numba_that_cannot_be_imported_is_left_alone(
    error: ImportError, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise error

    monkeypatch.undo()
    monkeypatch.setattr(backend, "import_module", refuse)
    assert re.search(why, backend._numba_missing.__wrapped__())


def test_a_call_overrules_the_block_and_the_block_the_device() -> None:
    with backend.use("reference"):
        assert backend.choose(None, CPU) == "reference"
        assert backend.choose("torch", CPU) == "torch"
    assert backend.choose(None, CPU) == "torch"


def test_the_block_reaches_the_ops() -> None:
    case = scan_case(1, 8, 2, 2, dtype=torch.bfloat16)
    named, _ = selective_scan(**case.tensors, **case.options, backend="reference")
    with backend.use("reference"):
        assert torch.equal(selective_scan(**case.tensors, **case.options)[0], named)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match="one of triton, numba, torch, reference or None, got 'cuda'"
    ):
        backend.choose("cuda", CPU)
    with pytest.raises(ValueError, match="got 'cuda'"), backend.use("cuda"):
        pass


def test_triton_runs_on_the_cpu_under_its_interpreter_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match=r'cannot run here.*on cpu; use backend="torch"'):
        backend.choose("triton", CPU)
    monkeypatch.setattr(backend, "_triton_version", lambda: "3.6.0")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert backend.choose("triton", CPU) == "triton"
    assert backend.choose(None, CPU) == "torch"


@pytest.mark.parametrize(("found", "why"), [
    ("", "triton is not installed"),
    ("3.3.1", "triton 3.4 is the oldest that will do, 3.3.1 is installed"),
])  # fmt: skip
def test_without_a_triton_that_will_do_a_gpu_gets_torch(
    found: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backend, "_triton_version", lambda: found)
    with caplog.at_level(logging.INFO, "dnamamba_kernels"):
        assert backend.choose(None, torch.device("cuda:0")) == "torch"
    assert why in caplog.text


def test_the_version_of_triton_that_is_installed() -> None:
    triton = pytest.importorskip("triton", reason="Triton is not installed")
    assert backend._triton_version() == triton.__version__


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "torch"), ((8, 0), "triton")])
def test_a_gpu_gets_triton_if_triton_serves_it(
    capability: tuple[int, int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_triton_version", lambda: "3.6.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert backend.choose(None, torch.device("cuda:0")) == name


def test_importing_the_ops_imports_no_compiler() -> None:
    script = (
        "import sys, dnamamba_kernels; print([m for m in ('triton', 'numba', 'torch._dynamo')"
        " if m in sys.modules], dnamamba_kernels.backend._default)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "DNAMAMBA_BACKEND": "reference"},
    )
    assert done.stdout.split() == ["[]", "reference"]
