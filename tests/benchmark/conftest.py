"""What tests of the benchmark keep in a cache is theirs alone."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder."""
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "benchmark"
