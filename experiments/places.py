"""Folders of the checkout."""

from pathlib import Path

__all__ = ["CONFIGS", "DOCS", "ROOT"]

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "results"
DOCS = ROOT / "docs"
