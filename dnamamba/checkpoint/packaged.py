"""The pretrained models that come with the package, by name."""

from pathlib import Path

from dnamamba.checkpoint.description import CONFIG

__all__ = ["packaged_folder", "packaged_names"]

HOME = Path(__file__).parents[1] / "pretrained"


def packaged_names() -> list[str]:
    """The names there are."""
    return sorted(config.parent.name for config in HOME.glob(f"*/{CONFIG}"))


def packaged_folder(name: str) -> Path | None:
    """The folder of the model of this name; None where there is none."""
    return HOME / name if name in packaged_names() else None
