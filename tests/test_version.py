"""The version, with and without an install."""

import importlib.metadata

import pytest

from dnamamba import version


def test_of_the_install() -> None:
    assert version.installed_version() == importlib.metadata.version("dnamamba")


def test_of_a_source_tree_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", missing)
    assert version.installed_version() == "unknown"
