"""Tests of the command line run in the checkout."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations name the bundled genomes relative to the checkout."""
    monkeypatch.chdir(ROOT)
