"""The experiments are scripts beside the package: their folder goes on the path."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a script of the folder by its name."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return importlib.import_module
