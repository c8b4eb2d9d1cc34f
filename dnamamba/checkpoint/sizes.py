"""What a file says of a model's sizes, held against its tensors before anything is built."""

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.config import BackboneConfig

__all__ = ["check_sizes", "tensors_of"]

_LARGEST = 1 << 40


def tensors_of(values: object, where: str) -> dict[str, Tensor]:
    """The tensors by their names.

    Raises:
        CheckpointError: something else, or a tensor that is larger than what is stored of it.
    """
    if not isinstance(values, dict):
        raise CheckpointError(f"{where}: expected tensors by name, got {type(values).__name__}")
    for name, value in values.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise CheckpointError(f"{where}: {name!r} is no tensor, but {type(value).__name__}")
        if value.layout != torch.strided or value.is_quantized:
            raise CheckpointError(f"{where}: {name} is {value.layout}, no dense tensor")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(
                f"{where}: {name} is {tuple(value.shape)}, more than is stored of it; "
                "save its contiguous copy"
            )
    return values


def check_sizes(config: BackboneConfig, weights: Mapping[str, Tensor]) -> None:
    """Refuse sizes that these weights cannot have, which would take long to build.

    Raises:
        ValueError: names the size.
    """
    largest = max((max(w.shape, default=1) for w in weights.values() if w.numel()), default=0)
    bounds: dict[str, tuple[int, str]] = {
        "n_layers": (len(weights), f"there are {len(weights):,} tensors"),
        "d_model": (largest, f"the largest tensor is {largest:,} wide"),
        "vocab_size": (largest, f"the largest tensor is {largest:,} wide"),
    }
    anything = (_LARGEST, "no model has so much of anything")
    for field in fields(config):
        name, value = field.name, getattr(config, field.name)
        bound, why = bounds.get(name, anything)
        if isinstance(value, int) and value > bound:
            shown = f"{value:,}" if value < _LARGEST else "beyond all bounds"
            raise ValueError(
                f"{name} is {shown}, but {why}; is it the configuration of another model?"
            )
