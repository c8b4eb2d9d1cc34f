"""Training checkpoints of this project, read without Lightning and without running their code."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.kinds import Model, assembled
from dnamamba.checkpoint.parts import CheckpointError

__all__ = ["from_training", "load_training"]

_PREFIX = "model."


def load_training(path: Path) -> tuple[Model, Tokenizer]:
    """The model of a Lightning checkpoint of one of this project's modules.

    Raises:
        CheckpointError: truncated, damaged, or no such checkpoint; names the file.
    """
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path} is truncated or no training checkpoint; expected a .ckpt file or a folder"
        )
    try:
        # PyTorch does not check the records' CRC-32.
        with zipfile.ZipFile(path) as records:
            damaged = records.testzip()
        if damaged is not None:
            raise ValueError(f"record {damaged} is damaged")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged pickle can raise
        raise CheckpointError(
            f"{path} does not load as a training checkpoint of dnamamba: "
            f"{type(error).__name__}: {error}"
        ) from error
    try:
        parameters, state = content["hyper_parameters"], content["state_dict"]
        parameters["model"], parameters["tokenizer"]
    except (KeyError, TypeError, IndexError) as error:
        raise CheckpointError(
            f"{path} is no training checkpoint of dnamamba: it lacks {error}; expected a .ckpt "
            "file that `dnamamba fit` wrote"
        ) from error
    return from_training(parameters, state, str(path))


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
    weights = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
    content = {
        "model": parameters.get("kind", "LanguageModel"),
        "config": parameters["model"],
        "tokenizer": parameters["tokenizer"],
        "head": parameters.get("head"),
    }
    lora = (parameters.get("tuning") or {}).get("lora")
    if lora:
        weights = _merged(weights, lora["alpha"] / lora["rank"])
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
            tensor = (tensor.double() + scale * B @ A).to(tensor.dtype)
        merged[f"{module}.{kind}" if base else name] = tensor
    return merged
