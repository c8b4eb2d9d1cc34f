"""Models by their names on the Hugging Face hub, fetched into its cache; never any code."""

import re
from pathlib import Path

from dnamamba.checkpoint.description import CONFIG
from dnamamba.checkpoint.foreign import TOKENS
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.extras import library

__all__ = ["hub_folder", "is_hub_name"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = (".ckpt", ".json", ".safetensors", ".bin", ".pt", ".fa", ".yaml")
_PLAIN = [CONFIG, TOKENS, "model*.safetensors", "model.safetensors.index.json"]
_PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


def is_hub_name(name: str) -> bool:
    """Whether ``name`` may be one on the hub: ``owner/model``, and the owner is no folder here."""
    return (
        _NAME.fullmatch(name) is not None
        and not name.endswith(_FILES)
        and not Path(name.partition("/")[0]).exists()
    )


def hub_folder(name: str) -> Path:
    """The folder of the hub's cache that holds this model's configuration and weights.

    Raises:
        CheckpointError: huggingface_hub is not installed, there is no network, or no such model;
            says what to do, but not which name it was about.
    """
    try:
        hub = library("huggingface_hub", "hub", "fetching a model by its name on the hub")
    except ModuleNotFoundError as error:
        raise CheckpointError(str(error)) from error
    try:
        folder = Path(hub.snapshot_download(name, allow_patterns=_PLAIN))
        if not any(folder.glob("model*.safetensors")):
            folder = Path(hub.snapshot_download(name, allow_patterns=[CONFIG, *_PICKLED]))
    except Exception as error:  # whatever a network can raise
        why = " ".join(str(error).split()).rstrip(".")
        raise CheckpointError(
            f"{type(error).__name__}: {why:.300}. Without a network, fetch it where there is one "
            f"(hf download {name}), and give the folder"
        ) from error
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"it has no {CONFIG} there, and is no model of this kind")
    return folder
