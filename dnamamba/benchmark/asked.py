"""What a user asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnamamba.yaml_text import load_yaml

__all__ = ["Asked"]


@dataclass(frozen=True)
class Asked:
    """The arguments of ``dnamamba benchmark``, but for the output; see ``benchmark``.

    Raises:
        ValueError: a number out of range; names it.
    """

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    seeds: int
    protocols: tuple[str, ...]
    recipe: str | None
    set: tuple[str, ...]
    data: Path | None
    workers: int | None
    device: str
    seconds: float
    folds: int | None = None

    def __post_init__(self) -> None:
        for name in ("seeds", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.folds is not None and self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")
        if not self.seconds > 0:
            raise ValueError(f"seconds must be above 0, got {self.seconds}")

    @property
    def changes(self) -> dict[str, Any]:
        """Of the recipe, by dotted keys.

        Raises:
            ValueError: one is not spelt KEY=VALUE.
        """
        changes = {}
        for text in self.set:
            key, equals, value = text.partition("=")
            if not (key and equals):
                raise ValueError(f"set takes KEY=VALUE, got {text!r}")
            changes[key] = load_yaml(value)
        return changes
