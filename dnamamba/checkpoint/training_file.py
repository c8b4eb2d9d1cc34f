"""Training checkpoints of this project, read without Lightning and without running their code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.archive import read_archive
from dnamamba.checkpoint.kinds import Model, assembled
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.checkpoint.sizes import tensors_of

__all__ = ["from_training", "load_training"]

_PREFIX = "model."
_PARTS = ("hyper_parameters", "state_dict")
_NEEDED = ("model", "tokenizer")


def load_training(path: Path) -> tuple[Model, Tokenizer]:
    """The model of a Lightning checkpoint of one of this project's modules.

    Raises:
        CheckpointError: truncated, damaged, or no such checkpoint; names the file.
    """
    read = read_archive(path)
    content = read if isinstance(read, dict) else {}
    lacking = [name for name in _PARTS if not isinstance(content.get(name), dict)]
    if not lacking:
        lacking = [name for name in _NEEDED if name not in content["hyper_parameters"]]
    if lacking:
        raise CheckpointError(
            f"{path} is no training checkpoint of dnamamba: it lacks "
            f"{', '.join(map(repr, lacking))}; expected a .ckpt file that `dnamamba fit` wrote"
        )
    return from_training(content["hyper_parameters"], content["state_dict"], str(path))


def from_training(
    parameters: Mapping[str, Any], state: Mapping[str, Tensor], where: str
) -> tuple[Model, Tokenizer]:
    """The model and the tokenizer of a module, adapters merged into the weights.

    Args:
        parameters: the module's hyper-parameters: ``model`` (the sizes), ``tokenizer``, and of a
            classifier ``kind``, ``head`` and, with adapters, ``tuning``.
        state: its ``state_dict()``, or a larger one.
        where: file or module, for errors.

    Raises:
        CheckpointError: parts that do not fit together.
    """
    weights = tensors_of(
        {k.removeprefix(_PREFIX): v for k, v in state.items() if str(k).startswith(_PREFIX)}, where
    )
    content = {
        "model": parameters.get("kind", "LanguageModel"),
        "config": parameters["model"],
        "tokenizer": parameters["tokenizer"],
        "head": parameters.get("head"),
    }
    try:
        lora = (parameters.get("tuning") or {}).get("lora")
        if lora:
            weights = _merged(weights, lora["alpha"] / lora["rank"])
    except (AttributeError, KeyError, TypeError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(f"{where}: its adapters do not fit: {error}") from error
    return assembled(content, weights, where)


def _merged(weights: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """W + scale B A (Hu et al. 2021, arXiv:2106.09685, section 4.1) under W's own name.

    The peft library stores W as ``X.base_layer.weight``, A (r, in) and B (out, r) as
    ``X.lora_A.default.weight`` and ``X.lora_B.default.weight``.
    """
    merged = {}
    for name, tensor in weights.items():
        if ".lora_" in name:
            continue
        module, base, kind = name.partition(".base_layer.")
        if kind == "weight":
            A, B = (weights[f"{module}.lora_{part}.default.weight"].double() for part in "AB")
            if (B.shape[0], A.shape[1]) != tensor.shape:  # before the product takes room
                raise TypeError(f"{module} is {tuple(tensor.shape)}, its adapters are not")
            tensor = (tensor.double() + scale * B @ A).to(tensor.dtype)
        merged[f"{module}.{kind}" if base else name] = tensor
    return merged
