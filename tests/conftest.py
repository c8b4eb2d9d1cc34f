"""Shared set-up: no test touches the user's cache, and GPU tests are skipped without a GPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

SAMPLES = Path(__file__).parents[1] / "data" / "samples"


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Genome caches of the whole run go to one temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DNAMAMBA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of bundled genomes."""
    return SAMPLES


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
