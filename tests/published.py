"""Folders in the formats of other programs, for the tests that read them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from dnamamba.checkpoint import CheckpointError, Opened, open_model
from dnamamba.checkpoint.publish import publish
from dnamamba.config import BackboneConfig
from dnamamba.model import LanguageModel

__all__ = [
    "FOREIGN",
    "NAMES",
    "PICKLE",
    "edited",
    "expected",
    "file_of",
    "published",
    "random_model",
    "refusal",
    "tensors_in",
]

FOREIGN = Path(__file__).parent / "model" / "foreign"
NAMES = ("ph-tiny", "ps-tiny", "ps-odd", "plant-tiny", "hf-mamba-tiny", "mamba-ssm-tiny")
SAFETENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"


def expected(name: str, what: str = "expected") -> dict[str, Tensor]:
    """What the published code gives, float64."""
    with np.load(FOREIGN / name / f"{what}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def file_of(name: str) -> str:
    """The weights of a fixture."""
    return SAFETENSORS if (FOREIGN / name / SAFETENSORS).exists() else PICKLE


def refusal(folder: Path, **settings: Any) -> str:
    """What is said of a folder that does not load: one line that names it."""
    with pytest.raises(CheckpointError) as error:
        open_model(folder, **settings)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 900
    assert str(folder) in text
    return text


def tensors_in(folder: Path) -> dict[str, Tensor]:
    if (folder / SAFETENSORS).exists():
        return safetensors.torch.load_file(folder / SAFETENSORS)
    content: dict[str, Tensor] = torch.load(folder / PICKLE, weights_only=True)
    return content


def edited(
    folder: Path,
    name: str,
    config: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Tensor | None] | None = None,
    file: str = SAFETENSORS,
) -> Path:
    """A changed copy of a fixture: keys that are ``...`` and tensors that are None are left out."""
    folder.mkdir(parents=True)
    values = json.loads((FOREIGN / name / "config.json").read_text()) | dict(config or {})
    values = {key: value for key, value in values.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(values))
    if tensors is None and (FOREIGN / name / file).exists():
        shutil.copy(FOREIGN / name / file, folder)
        return folder
    content = {**tensors_in(FOREIGN / name), **(tensors or {})}
    kept = {key: tensor for key, tensor in content.items() if tensor is not None}
    if file == PICKLE:
        torch.save(kept, folder / file)
    else:
        own = {key: tensor.clone().contiguous() for key, tensor in kept.items()}
        safetensors.torch.save_file(own, folder / file, metadata={"format": "pt"})
    return folder


def random_model(config: BackboneConfig, seed: int = 0) -> LanguageModel:
    """One in which every parameter matters."""
    torch.manual_seed(seed)
    model = LanguageModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            scale = 0.3 if name.endswith(("norm.weight", "norm_f.weight", "A_log", "D")) else 0.2
            parameter.add_(noise, alpha=1.0 if "embedding" in name else scale)
    return model


def published(
    folder: Path, config: BackboneConfig, form: str, tokenizer: Any, seed: int = 0
) -> LanguageModel:
    """A random model, and its folder in a format of others."""
    model = random_model(config, seed)
    publish(folder, Opened(model, tokenizer), form)
    return model
