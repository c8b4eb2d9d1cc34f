"""The hyper-parameters of a module against those that a checkpoint holds."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["refuse_another"]


def refuse_another(
    own: Mapping[str, Any], checkpoint: Mapping[str, Any], parts: Iterable[str]
) -> None:
    """Refuse the weights of another model before torch complains of their shapes.

    Args:
        own: the module's hyper-parameters.
        checkpoint: Lightning's.
        parts: which of the hyper-parameters, each a dictionary, the weights depend on.

    Raises:
        ValueError: names the settings that differ.
    """
    stored = checkpoint.get("hyper_parameters", {})
    differ = [
        f"{part}.{key} is {value!r} here and {stored[part][key]!r} in the checkpoint"
        for part in parts
        for key, value in own[part].items()
        if part in stored and stored[part].get(key, value) != value
    ]
    if differ:
        raise ValueError(f"the checkpoint is of another model: {'; '.join(differ)}")
