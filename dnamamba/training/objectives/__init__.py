"""Objectives: what a model is pretrained to predict, made on the device of any raw batch."""

from dataclasses import fields
from typing import Any

from dnamamba.settings import plain
from dnamamba.spelling import closest
from dnamamba.training.objectives.masked import Masked
from dnamamba.training.objectives.next_base import NextBase
from dnamamba.training.objectives.objective import Example, Objective, base_weights

__all__ = [
    "OBJECTIVES",
    "Example",
    "Masked",
    "NextBase",
    "Objective",
    "base_weights",
    "described",
    "objective_of",
]

OBJECTIVES: dict[str, type[Objective]] = {"next_base": NextBase, "masked_bases": Masked}
"""Name -> class: a new objective is a file and a row."""


def objective_of(value: Objective | str | dict[str, Any] | None, causal: bool = True) -> Objective:
    """The objective that a configuration or a checkpoint speaks of.

    Args:
        value: an objective as it is; a name; ``name`` and the settings of that class; or None,
            which stands for the first of ``OBJECTIVES`` that trains such a backbone.
        causal: whether the backbone is.

    Raises:
        ValueError: an unknown name, or settings that its class does not have.
    """
    if isinstance(value, Objective):
        return value
    if value is None:
        value = next(name for name, kind in OBJECTIVES.items() if kind.causal == causal)
    settings = dict(value) if isinstance(value, dict) else {"name": value}
    name = settings.pop("name", None)
    if name not in OBJECTIVES:
        raise ValueError(f"model.objective must be one of {', '.join(OBJECTIVES)}, got {name!r}")
    known = [field.name for field in fields(OBJECTIVES[name])]
    if unknown := next((key for key in settings if key not in known), None):
        near = closest(str(unknown), known)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(known) or 'none'}"
        raise ValueError(f"model.objective {name}: there is no setting {unknown!r:.60}; {hint}")
    return OBJECTIVES[name](**settings)


def described(objective: Objective) -> dict[str, Any]:
    """What ``objective_of`` has to know, in plain JSON types.

    An objective outside ``OBJECTIVES`` is called by its class, and must be given again.
    """
    names = {kind: name for name, kind in OBJECTIVES.items()}
    kind = type(objective)
    return {"name": names.get(kind, kind.__name__), **plain(objective)}
