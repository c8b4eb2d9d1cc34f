"""What every kernel test stands on."""

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from dnamamba_kernels import parallel

from .fused_cases import INTERPRETED
from .interpreted import quicken

# What cuBLAS asks for where deterministic algorithms are (below); read when it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True, scope="session")
def _interpreted_quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if INTERPRETED:
            quicken(patch)
        yield


@pytest.fixture(autouse=True)
def _poisoned_memory() -> Iterator[None]:
    """Memory that ``torch.empty`` hands out holds NaN: nothing may be read before it is written."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def many_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short chunks and little scratch: several spans, chunks and segments in few positions."""
    from dnamamba_kernels.selective_scan.fused import plan as fused_plan

    monkeypatch.setattr(fused_plan, "MIN_CHUNK", 16)
    monkeypatch.setattr(fused_plan, "WORKSPACE", 2**16)


@pytest.fixture
def threaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Sets PyTorch's threads for one test, in which the least work is worth a thread."""
    monkeypatch.setattr(parallel, "THREAD_OPERATIONS", 1)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
