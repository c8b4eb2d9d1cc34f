"""Shared set-up: no test touches the user's cache, and GPU tests are skipped without a GPU."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, here and in every process that a test starts: the operations are short,
# and threads that wait for each other cost more than they give, most of all beside other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A name that is no path may be one on the hub; no test asks it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import lean_lightning  # noqa: F401 (before the tests import it whole)
import numpy as np
import pytest
import torch
from lightning_utilities.core import rank_zero
from models import opinionated

from dnamamba.alphabet import Tokenizer
from dnamamba.model.language_model import LanguageModel

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
LENGTHS = [5, 1, 700, 64, 65, 2, 699, 33]


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Genome caches of the whole run go to one temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DNAMAMBA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _lightning_speaks() -> Iterator[None]:
    """Whatever a test has made of it, the next one hears Lightning, and is the first process."""
    log, speaker = logging.getLogger("pytorch_lightning"), rank_zero.log
    level, rank = log.level, rank_zero.rank_zero_only.rank  # type: ignore[attr-defined]
    yield
    log.setLevel(level)
    rank_zero.log = speaker
    rank_zero.rank_zero_only.rank = rank  # type: ignore[attr-defined]


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs where it finds the best device runs on the CPU, whose bits do not vary."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of bundled genomes."""
    return SAMPLES


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer()


@pytest.fixture
def model() -> LanguageModel:
    """A small model with opinions."""
    return opinionated()


@pytest.fixture(scope="session")
def sequences() -> list[str]:
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGTACGTACGTN", dtype=np.uint8)
    return [letters[random.integers(0, 13, n)].tobytes().decode() for n in LENGTHS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` where there is none; where there is one, all that is fused is."""
    if torch.cuda.is_available():
        for item in items:
            if item.path.name.startswith("test_fused_"):
                item.add_marker(pytest.mark.gpu)
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
