"""The tensors of a published folder, in one file or in several, read without running code."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dnamamba.checkpoint.archive import read_archive
from dnamamba.checkpoint.description import read_json
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.checkpoint.sizes import tensors_of

__all__ = ["names_of", "read_tensors"]

_POINTER = b"version https://git-lfs"


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor by its name, on the CPU; safetensors are taken before pickles.

    Raises:
        CheckpointError: no weights, damaged ones, or a pickle that asks for more than tensors;
            names the file.
    """
    for name, read in _READERS.items():
        if (folder / name).is_file():
            return read(folder / name)
        if (index := folder / f"{name}.index.json").is_file():
            return _shards(index, read)
    raise CheckpointError(
        f"{folder} has no {' and no '.join(_READERS)}; copy the folder as a whole"
    )


def names_of(folder: Path) -> list[str]:
    """The names of a folder's tensors; empty where none can be read. Of safetensors none are."""
    with suppress(CheckpointError, SafetensorError, OSError):
        for index in folder.glob("*.index.json"):
            content = read_json(index)
            places = content.get("weight_map") if isinstance(content, dict) else None
            return list(places) if isinstance(places, dict) else []
        if (single := folder / "model.safetensors").is_file():
            with safe_open(single, "pt") as file:
                return list(file.keys())
        return list(read_tensors(folder))
    return []


def _safetensors(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if start == _POINTER:
        raise CheckpointError(f"{path} is a pointer of Git LFS; fetch its content: git lfs pull")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is truncated or no safetensors file ({error}); copy or download it again"
        ) from error


def _pickle(path: Path) -> dict[str, Tensor]:
    content: Any = read_archive(path, "file of weights", "what torch.save writes")
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        raise CheckpointError(
            f"{path} is a training checkpoint (it has a state_dict); give the model's own file"
        )
    return tensors_of(content, str(path))


def _shards(index: Path, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not all(isinstance(x, str) for x in places.values()):
        raise CheckpointError(f"{index} has no weight_map, which says where each tensor is")
    whole: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        path = index.parent / name
        if Path(name).name != name:
            raise CheckpointError(f"{index} names {name!r}, which is no file of its folder")
        if not path.is_file():
            raise CheckpointError(
                f"{index} names {name}, which is not there; copy the whole folder"
            )
        shard = read(path)
        wrong = [key for key in shard if places.get(key) != name]
        wrong += [key for key, at in places.items() if at == name and key not in shard]
        if wrong:
            raise CheckpointError(f"{index} and {path} disagree about {wrong[0]}")
        whole.update(shard)
    return whole


_READERS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    "model.safetensors": _safetensors,
    "pytorch_model.bin": _pickle,
}
