"""Tests of the command line run in the checkout."""

import shutil
from pathlib import Path

import pytest
from cli_cases import config

from dnamamba.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations name the bundled genomes relative to the checkout."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def _fitted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert main(["fit", "-c", config(folder)]) == 0
    return folder / "run"


@pytest.fixture
def fitted(_fitted_once: Path, tmp_path: Path) -> str:
    """The configuration of a run that is finished, in ``tmp_path / "run"``."""
    shutil.copytree(_fitted_once, tmp_path / "run")
    return config(tmp_path)
