"""Training checkpoints that survive a kill, a full disk and a flipped bit."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from dnamamba.checkpoint.archive import why_not_read
from dnamamba.files import replacing

__all__ = ["AtomicCheckpointIO"]

_PARTS = ("state_dict", "pytorch-lightning_version")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, syncs it and moves it into place.

    Lightning's own way stages in ``$TMPDIR`` and copies: on a full disk or after a kill the
    last good checkpoint can be gone, and an unwritable folder passes in silence. Use it with
    ``Trainer(plugins=[AtomicCheckpointIO()])``; the command line does. Remote paths
    (``s3://...``), where a put is atomic already, are left to Lightning.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``.

        Raises:
            OSError: no room, or the folder cannot be written; an older file of this name
                is intact.
        """
        if storage_options is not None or _remote(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with replacing(path) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint after checking every record's CRC-32, which torch does not.

        Raises:
            FileNotFoundError: no such file.
            ValueError: truncated, damaged or no checkpoint; names the file and the remedy.
        """
        if not _remote(path):
            _check(Path(path))
        try:
            # Said outright: a setting of the environment must not make torch run what is in it.
            plain = True if weights_only is None else weights_only
            checkpoint: dict[str, Any] = super().load_checkpoint(path, map_location, plain)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            why = why_not_read(error)
            raise ValueError(f"{path} does not load as a checkpoint: {why}") from error
        lacking = [name for name in _PARTS if name not in checkpoint]
        if lacking:
            raise ValueError(
                f"{path} is no checkpoint of a training run: it lacks {', '.join(lacking)}; name "
                "a .ckpt file that `dnamamba fit` wrote"
            )
        return checkpoint


def _remote(path: str | Path) -> bool:
    return "://" in str(path)


def _check(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as records:
            damaged = records.testzip()
    except (zipfile.BadZipFile, EOFError) as error:
        damaged = str(error)
    if damaged is not None:
        others = sorted(p.name for p in path.parent.glob("*.ckpt") if p != path)
        remedy = (
            f"resume from another one in its folder: {', '.join(others)}"
            if others
            else ("there is no other one in its folder; start the run anew")
        )
        raise ValueError(f"{path} is truncated or damaged ({damaged}); {remedy}")
