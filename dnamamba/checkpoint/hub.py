"""Models by their names on the Hugging Face hub, fetched into its cache; never any code."""

import re
from pathlib import Path

from dnamamba.checkpoint.description import CONFIG
from dnamamba.checkpoint.foreign import TOKENS
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.extras import library

__all__ = ["HUB_NAME", "hub_files", "hub_folder", "is_hub_name"]

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``owner/name``."""

_REVISION = re.compile(r"[\w./-]+")  # behind an @: a branch, a tag, a commit
_FILES = (".ckpt", ".json", ".safetensors", ".bin", ".pt", ".fa", ".yaml")
_PLAIN = [CONFIG, TOKENS, "model*.safetensors", "model.safetensors.index.json"]
_PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


def is_hub_name(name: str) -> bool:
    """Whether ``name`` may be one on the hub: ``owner/model``, and the owner is no folder here.

    Behind an @ it may name a branch, a tag or a commit: ``owner/model@v1``.
    """
    name, at, revision = name.partition("@")
    return (
        HUB_NAME.fullmatch(name) is not None
        and (not at or _REVISION.fullmatch(revision) is not None)
        and not name.endswith(_FILES)
        and not Path(name.partition("/")[0]).exists()
    )


def hub_folder(name: str) -> Path:
    """The folder of the hub's cache that holds this model's configuration and weights.

    Args:
        name: as ``is_hub_name`` has it.

    Raises:
        CheckpointError: huggingface_hub is not installed, there is no network, or no such model;
            says what to do, but not which name it was about.
    """
    try:
        hub = library("huggingface_hub", "hub", "fetching a model by its name on the hub")
    except ModuleNotFoundError as error:
        raise CheckpointError(str(error)) from error
    name, _, revision = name.partition("@")
    wanted = {"revision": revision} if revision else {}
    try:
        folder = Path(hub.snapshot_download(name, allow_patterns=_PLAIN, **wanted))
        if not any(folder.glob("model*.safetensors")):
            plain = [CONFIG, *_PICKLED]
            folder = Path(hub.snapshot_download(name, allow_patterns=plain, **wanted))
    except Exception as error:  # whatever a network can raise
        why = " ".join(str(error).split()).rstrip(".")
        raise CheckpointError(
            f"{type(error).__name__}: {why:.300}. Without a network, fetch it where there is one "
            f"(hf download {name}), and give the folder"
        ) from error
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"it has no {CONFIG} there, and is no model of this kind")
    return folder


def hub_files(folder: Path) -> list[Path]:
    """The files of a folder that ``hub_folder`` would fetch of it: a model, and nothing else."""
    plain = [path for pattern in _PLAIN for path in sorted(folder.glob(pattern))]
    if not any(path.name.endswith(".safetensors") for path in plain):
        plain += [path for pattern in _PICKLED for path in sorted(folder.glob(pattern))]
    return list(dict.fromkeys(plain))
