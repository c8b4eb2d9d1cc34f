"""The folder that users share: a model and its tokenizer, without code.

::

    folder/
      config.json         format version, sizes, tokenizer, SHA-256 of the weights
      model.safetensors   the weights; a tied head is there once

Reading one executes nothing from it. A training checkpoint (``.ckpt``) of this project loads
too, by PyTorch's weights-only reader.
"""

import difflib
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.files import replacing
from dnamamba.model import LanguageModel
from dnamamba.model.weights import assemble

__all__ = ["CheckpointError", "load", "save"]

FORMAT_VERSION = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MODELS = {"LanguageModel": LanguageModel}

_KEYS = {"format_version", "dnamamba", "model", "config", "tokenizer", "sha256", "metadata"}
_PREFIX = "model."

Part = TypeVar("Part", MambaConfig, Tokenizer)


class CheckpointError(ValueError):
    """A folder or file that does not hold a model that can be loaded; names it and says why."""


def save(
    folder: str | Path,
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a model and its tokenizer as a folder.

    Whatever happens on the way (a kill, a full disk), the folder loads as it did before or as
    the new model. One process at a time may save to a folder: rank 0.

    Args:
        folder: where to; made if missing.
        model: in any mode, on any device; its weights are stored in their own dtype.
        tokenizer: the one that it was trained with.
        metadata: plain JSON values to keep in ``config.json``, as the training data's names.
        overwrite: replace a model that stands there.

    Returns:
        The folder.

    Raises:
        ValueError: a model stands there and ``overwrite`` is False; the model is of another
            class, adapted, or of another vocabulary than the tokenizer; a weight is not finite;
            metadata is not JSON.
        OSError: the folder cannot be written or the disk is full; what stood there is intact.
    """
    folder = Path(folder)
    weights = _checked_weights(model, tokenizer)
    standing = [name for name in (CONFIG, WEIGHTS) if (folder / name).exists()]
    if standing and not overwrite:
        raise ValueError(
            f"{folder} holds {' and '.join(standing)}; pass overwrite=True to replace them"
        )
    content = safetensors.torch.save(weights)
    digest = hashlib.sha256(content).hexdigest()
    config = {
        "format_version": FORMAT_VERSION,
        "dnamamba": version("dnamamba"),
        "model": type(model).__name__,
        "config": asdict(model.config),
        "tokenizer": asdict(tokenizer),
        "sha256": digest,
        "metadata": dict(metadata or {}),
    }
    try:
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must be plain JSON values: {error}") from error
    try:
        _publish(folder, content, text.encode(), digest)
    except OSError as error:
        raise OSError(
            error.errno, f"{folder} is not saved, what stood there is intact: {error.strerror}"
        ) from error
    return folder


def load(path: str | Path, device: str | torch.device = "cpu") -> tuple[LanguageModel, Tokenizer]:
    """Read a model and its tokenizer.

    Args:
        path: a folder that ``save`` wrote, or a training checkpoint (``.ckpt``).
        device: where the model is put.

    Returns:
        The model, in evaluation mode and in the dtypes it was saved in, and its tokenizer.

    Raises:
        CheckpointError: nothing there, damaged, of a newer format, or not fitting together; names
            the file, what was expected, and the remedy.
    """
    path = Path(path)
    if path.is_dir():
        model, tokenizer = _load_folder(path)
    elif path.is_file():
        model, tokenizer = _load_training(path)
    else:
        raise CheckpointError(
            f"there is no {path}; expected a folder with {CONFIG} and {WEIGHTS}, or a .ckpt file"
        )
    return model.to(device), tokenizer


def _checked_weights(model: LanguageModel, tokenizer: Tokenizer) -> dict[str, Tensor]:
    """The model's tensors, after everything has been checked that ``load`` will check."""
    kind = MODELS.get(type(model).__name__)
    if kind is not type(model):
        raise ValueError(
            f"model must be one of {', '.join(MODELS)}, got {type(model).__name__}; "
            "unwrap a compiled, distributed or adapted model first"
        )
    _check_vocabulary(model.config, tokenizer)
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    assemble(kind, model.config, weights)
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"weights that are not finite are not saved: {', '.join(broken)}")
    return weights


def _check_vocabulary(config: MambaConfig, tokenizer: Tokenizer) -> None:
    if config.vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"the model's vocab_size is {config.vocab_size}, but the tokenizer "
            f"{tokenizer.name!r} has {tokenizer.vocab_size} ids; they belong to different models"
        )


def _publish(folder: Path, weights: bytes, config: bytes, digest: str) -> None:
    """Put both files in place so that the folder loads at every moment.

    The new weights go under a name of their own, which ``load`` looks at first; replacing the
    config, whose digest leads to that name, switches from the old model to the new; only then do
    the weights take their final name.
    """
    pending = folder / _pending(digest)
    interrupted = pending.exists()
    try:
        with replacing(pending) as file:
            file.write(weights)
        with replacing(folder / CONFIG) as file:
            file.write(config)
    except BaseException:
        if not interrupted:
            pending.unlink(missing_ok=True)
        raise
    os.replace(pending, folder / WEIGHTS)
    for stray in folder.glob(".*model-*.safetensors*"):  # left by saves that were killed
        stray.unlink()


def _pending(digest: str) -> str:
    return f".model-{digest[:16]}.safetensors"


def _load_folder(folder: Path) -> tuple[LanguageModel, Tokenizer]:
    where = folder / CONFIG
    try:
        content = json.loads(where.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} has no {CONFIG}; expected a folder that dnamamba saved"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{where} is damaged, it is not JSON: {error}") from error
    found = content.get("format_version") if isinstance(content, dict) else None
    if found != FORMAT_VERSION:
        raise CheckpointError(
            f"{where} has format_version {found!r}, this dnamamba reads {FORMAT_VERSION}; "
            "was it written by a newer dnamamba, or by another program?"
        )
    _check_keys(content, _KEYS, str(where))
    kind = MODELS.get(str(content.get("model")))
    if kind is None:
        raise CheckpointError(
            f"{where}: model must be one of {', '.join(MODELS)}, got {content.get('model')!r}"
        )
    weights = _read_weights(folder, content.get("sha256"))
    return _build(content.get("config"), content.get("tokenizer"), weights, str(where), kind)


def _read_weights(folder: Path, digest: object) -> dict[str, Tensor]:
    if not isinstance(digest, str):
        raise CheckpointError(f"{folder / CONFIG}: sha256 must be a string, got {digest!r}")
    # Present only when a save was killed between its last two steps: then it is the model.
    pending = folder / _pending(digest)
    where = pending if pending.exists() else folder / WEIGHTS
    try:
        content = where.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {WEIGHTS}; copy the folder as a whole") from error
    got = hashlib.sha256(content).hexdigest()
    if got != digest:
        raise CheckpointError(
            f"{where} is truncated, damaged or of another model: its SHA-256 is {got}, {CONFIG} "
            f"says {digest}; copy or download both files again"
        )
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(f"{where} is not a safetensors file: {error}") from error


def _load_training(path: Path) -> tuple[LanguageModel, Tokenizer]:
    """A Lightning checkpoint of ``PretrainModule``: its hyper-parameters and its model's part."""
    if path.name in (CONFIG, WEIGHTS):
        raise CheckpointError(f"{path} is a part of a model; give its folder, {path.parent}")
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
        parameters = content["hyper_parameters"]
        config, tokenizer = parameters["model"], parameters["tokenizer"]
        state = content["state_dict"]
    except Exception as error:  # whatever a damaged pickle can raise
        raise CheckpointError(
            f"{path} does not load as a training checkpoint of dnamamba: "
            f"{type(error).__name__}: {error}"
        ) from error
    weights = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
    return _build(config, tokenizer, weights, str(path), LanguageModel)


def _build(
    config: object,
    tokenizer: object,
    weights: Mapping[str, Tensor],
    where: str,
    kind: type[LanguageModel],
) -> tuple[LanguageModel, Tokenizer]:
    sizes = _part(MambaConfig, config, f"{where}, config")
    letters = _part(Tokenizer, tokenizer, f"{where}, tokenizer")
    try:
        _check_vocabulary(sizes, letters)
        return assemble(kind, sizes, weights), letters
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error


def _part(kind: type[Part], values: object, where: str) -> Part:
    if not isinstance(values, dict):
        raise CheckpointError(f"{where} must be an object, got {values!r}")
    _check_keys(values, {field.name for field in fields(kind)}, where)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: {error}") from error


def _check_keys(values: Mapping[str, object], known: set[str], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            raise CheckpointError(f"{where} has an unknown key {key!r}; {hint}")
