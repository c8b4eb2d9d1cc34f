"""The hyper-parameters of a module against those that a checkpoint holds."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["refuse_another", "refuse_other_names"]


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
        raise ValueError(
            f"the checkpoint is of another model: {'; '.join(differ)}. Set them as in the run that "
            "wrote the checkpoint, or start another run"
        )


def refuse_other_names(own: Iterable[str], checkpoint: Iterable[str]) -> None:
    """Refuse weights that have other names, as with and without low-rank adapters.

    Args:
        own: names of the module's weights.
        checkpoint: those of the checkpoint.

    Raises:
        ValueError: names one of each kind.
    """
    own, checkpoint = list(own), list(checkpoint)
    lacking = [name for name in own if name not in set(checkpoint)]
    unknown = [name for name in checkpoint if name not in set(own)]
    parts = [f"it lacks {lacking[0]}"] if lacking else []
    parts += [f"it has {unknown[0]}, which this run has not"] if unknown else []
    if parts:
        raise ValueError(
            f"the checkpoint is of another model: {', and '.join(parts)}. Set model.tuning as in "
            "the run that wrote the checkpoint"
        )
