"""A model in the form in which other programs publish theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import safetensors.torch
import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.description import CONFIG
from dnamamba.checkpoint.foreign import TOKENS
from dnamamba.checkpoint.opened import Opened
from dnamamba.config import MambaConfig
from dnamamba.files import replacing_together
from dnamamba.model import LanguageModel
from dnamamba.model.weights import FORMATS, as_published

__all__ = ["publish"]

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def publish(folder: Path, opened: Opened, form: str, *, overwrite: bool = False) -> None:
    """Write ``config.json``, the weights, and, unless the format says it, ``tokens.json``.

    Args:
        folder: where to; made if missing.
        opened: the model; one that came in this format gets its ``config.json`` back.
        form: of ``FORMATS``.
        overwrite: replace a model that stands there.

    Raises:
        ValueError: a model stands there, or this one cannot be expressed; names what.
        OSError: the folder cannot be written; what stood there is intact.
    """
    model, target = opened.model, FORMATS[form]
    if not isinstance(model, LanguageModel):
        raise ValueError(f"{target.about} has no form for the head of a {type(model).__name__}")
    standing = [name for name in (CONFIG, *_WEIGHTS) if (folder / name).exists()]
    if standing and not overwrite:
        raise ValueError(
            f"{folder} holds {' and '.join(standing)}; set overwrite (--overwrite) to replace them"
        )
    source = opened.source or {}
    known = source.get("config") if source.get("format") == form else None
    values = target.values(model.config, opened.tokenizer, known)
    layout = target.layout(values, {}, opened.tokenizer)
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    tensors = _in_dtype(as_published(layout, weights), source.get("dtype"))
    written = {target.file, CONFIG}
    if opened.tokenizer.known and opened.tokenizer != layout.tokenizer:
        written.add(TOKENS)
    with replacing_together() as opening:
        with opening(folder / target.file) as file:
            _write(file, tensors, layout.ties, target.file)
        with opening(folder / CONFIG) as file:
            file.write((json.dumps(values, indent=2) + "\n").encode())
        if TOKENS in written:
            with opening(folder / TOKENS) as file:
                file.write((json.dumps(_tokens(opened.tokenizer, model)) + "\n").encode())
    for stray in {*_WEIGHTS, TOKENS} - written:
        (folder / stray).unlink(missing_ok=True)


def _write(file: IO[bytes], tensors: dict[str, Tensor], ties: Mapping[str, str], name: str) -> None:
    if name.endswith(".safetensors"):
        file.write(safetensors.torch.save(tensors, metadata={"format": "pt"}))
        return
    # Their loader wants every name; tied ones share their storage, as in their own files.
    torch.save({**tensors, **{copy: tensors[original] for copy, original in ties.items()}}, file)


def _in_dtype(tensors: dict[str, Tensor], name: str | None) -> dict[str, Tensor]:
    """In the half precision that they were read from, which loses nothing."""
    dtype = _HALVES.get(name or "")
    if dtype is None:
        return tensors
    return {key: t.to(dtype) if t.is_floating_point() else t for key, t in tensors.items()}


def _tokens(tokenizer: Tokenizer, model: LanguageModel) -> dict[str, int]:
    """A table of tokens that gives this tokenizer again, and the start token."""
    config = model.config
    bos = config.bos if isinstance(config, MambaConfig) else None
    return {**tokenizer.tokens, **({} if bos is None else {"bos": bos})}
