"""The folder that users share: a model and its tokenizer, without code.

::

    folder/
      config.json         format version, sizes, tokenizer, SHA-256 of the weights; of a
                          classifier its head: kind, labels, pooling
      model.safetensors   the weights; a tied head is there once

Reading one executes nothing from it.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from dnamamba import arguments
from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.description import CONFIG
from dnamamba.checkpoint.kinds import Model, assembled, check_vocabulary, described, kind_of
from dnamamba.checkpoint.parts import CheckpointError, check_keys
from dnamamba.files import replacing
from dnamamba.version import installed_version

__all__ = ["WEIGHTS", "load_folder", "save"]

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"

_KEYS = {"format_version", "dnamamba", "model", "config", "head", "tokenizer", "sha256", "metadata"}


def save(
    folder: str | Path,
    model: Model,
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
    folder = arguments.path("folder", folder)
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
        "dnamamba": installed_version(),
        **described(model),
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


def _checked_weights(model: Model, tokenizer: Tokenizer) -> dict[str, Tensor]:
    """The model's tensors, after everything has been checked that ``load_folder`` will check."""
    kind_of(model)
    check_vocabulary(model.config, tokenizer)
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    try:
        assembled({**described(model), "tokenizer": asdict(tokenizer)}, weights, "model")
    except CheckpointError as error:
        raise ValueError(str(error)) from error
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"weights that are not finite are not saved: {', '.join(broken)}")
    return weights


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


def load_folder(folder: Path, content: Any) -> tuple[Model, Tokenizer]:
    """Read what ``save`` wrote.

    Args:
        folder: it.
        content: of its ``config.json``.

    Raises:
        CheckpointError: missing, damaged, of a newer format, or not fitting together.
    """
    where = folder / CONFIG
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{where} has format_version {version!r:.80}, this dnamamba reads {FORMAT_VERSION}; "
            "was it written by a newer dnamamba, or by another program?"
        )
    check_keys(content, _KEYS, str(where))
    return assembled(content, _read_weights(folder, content.get("sha256")), str(where))


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
