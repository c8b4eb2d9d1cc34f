"""A model and its tokenizer, to disk and back: the folder that users share, and training files."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.description import CONFIG, read_json
from dnamamba.checkpoint.folder import WEIGHTS, load_folder, save
from dnamamba.checkpoint.foreign import format_of, load_foreign, refuse_unknown, tokenizer_of
from dnamamba.checkpoint.hub import hub_folder, is_hub_name
from dnamamba.checkpoint.kinds import Model
from dnamamba.checkpoint.opened import Opened, Report
from dnamamba.checkpoint.packaged import packaged_folder, packaged_names
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.checkpoint.training_file import load_training
from dnamamba.device import best_device
from dnamamba.model import LanguageModel
from dnamamba.model.weights import assemble

__all__ = ["CheckpointError", "Model", "Opened", "Report", "load", "open_model", "save"]

_log = logging.getLogger(__name__)


def load(path: str | Path, device: str | torch.device = "cpu") -> tuple[Model, Tokenizer]:
    """Read a model and its tokenizer: the first two of what ``open_model`` gives.

    Arguments and errors are those of ``open_model``.
    """
    opened = open_model(path, device)
    return opened.model, opened.tokenizer


def open_model(
    path: str | Path,
    device: str | torch.device = "cpu",
    tokens: Mapping[str, int] | None = None,
) -> Opened:
    """Read a model, its tokenizer, and where it is from.

    Args:
        path: a folder that ``save`` wrote, or one in a format of ``dnamamba.model.weights``; a
            training checkpoint (``.ckpt``); or, where there is no such file, the name of a model
            that comes with the package, or of one on the Hugging Face hub (``owner/model``).
        device: where the model is put.
        tokens: letter -> id of a model of others, ``mask`` and ``bos`` too where it has them; None:
            as the model itself says.

    Returns:
        The model, in evaluation mode and in the dtypes it was saved in (one of others in fp32),
        its tokenizer, and how one of others was read, which is logged, too.

    Raises:
        CheckpointError: nothing there, damaged, of a newer format, or not fitting together; names
            the file, what was expected, and the remedy.
        ValueError: no such device.
    """
    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(
            f"expected a path or the name of a model, got {type(path).__name__} ({path!r:.60})"
        )
    if not isinstance(tokens, Mapping | None):
        raise CheckpointError(f"tokens must be letters and their ids, got {tokens!r:.60}")
    device = best_device(device)
    opened = _opened(str(path), tokens)
    if opened.report is not None:
        _log.info("%s: %s", path, opened.report)
    return opened._replace(model=opened.model.to(device))


def _opened(named: str, tokens: Mapping[str, int] | None) -> Opened:
    path, neither = Path(named), ""
    if not path.exists():
        path = packaged_folder(named) or path
        if is_hub_name(named):
            try:
                path = hub_folder(named)
            except CheckpointError as error:
                neither = f", nor is it to be had from the Hugging Face hub ({error})"
    if path.is_dir():
        return _folder(path, tokens)
    if path.name in (CONFIG, WEIGHTS) and path.is_file():
        raise CheckpointError(f"{path} is a part of a model; give its folder, {path.parent}")
    if path.is_file():
        return _with_tokens(Opened(*load_training(path)), tokens, str(path))
    names = ", ".join(packaged_names())
    raise CheckpointError(
        f"there is no {path}{neither}; expected a folder with {CONFIG} and {WEIGHTS}, a .ckpt file"
        + (f", or a model that comes with dnamamba: {names}" if names else "")
    )


def _folder(folder: Path, tokens: Mapping[str, int] | None) -> Opened:
    where = folder / CONFIG
    try:
        content = read_json(where)
    except FileNotFoundError as error:
        inside = folder / "model"  # of a run's folder
        meant = f"; did you mean {inside}?" if (inside / CONFIG).is_file() else ""
        raise CheckpointError(
            f"{folder} has no {CONFIG}; expected a folder that dnamamba saved{meant}"
        ) from error
    ours = isinstance(content, dict) and "format_version" in content
    if isinstance(content, dict) and not ours:
        if (form := format_of(content, str(where))) is None:
            refuse_unknown(folder, content)
        return load_foreign(folder, content, form, tokens)
    opened = Opened(*load_folder(folder, content))
    metadata = content.get("metadata")
    source = metadata.get("source") if isinstance(metadata, dict) else None
    return _with_tokens(opened._replace(source=source), tokens, str(folder))


def _with_tokens(opened: Opened, tokens: Mapping[str, int] | None, where: str) -> Opened:
    """One of ours, whose tokenizer is known unless a model of others was converted without."""
    if tokens is None:
        return opened
    if opened.tokenizer.known:
        raise CheckpointError(f"{where} has its own tokenizer; leave tokens out")
    try:
        tokenizer, config = tokenizer_of(tokens, opened.model.config)
        model = opened.model
        if config != model.config:
            model = assemble(LanguageModel, config, model.state_dict())
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error
    return opened._replace(model=model, tokenizer=tokenizer)
