"""Files of ``torch.save``, read without running what they hold, and in bounded memory."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from dnamamba.checkpoint.parts import CheckpointError

__all__ = ["read_archive", "why_not_read"]

_OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before PyTorch 1.6
_CODE = re.compile(r"GLOBAL ([\w.]+)|function ([\w.]+)|Unsupported (?:class|operand|opcode) (\S+)")


def read_archive(
    path: Path, kind: str = "training checkpoint", expected: str = "a .ckpt file or a folder"
) -> Any:
    """The tensors and plain values of a file, on the CPU.

    Args:
        path: the file.
        kind: what it should be, for errors.
        expected: how such a one looks, for errors.

    Raises:
        CheckpointError: truncated, damaged, packed, or holding anything else; names the file.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            old = file.read(len(_OLD)) == _OLD
        remedy = (
            ". It has the form of torch.save before PyTorch 1.6, which is not read here; write it "
            "anew: torch.save(torch.load(OLD, weights_only=True), NEW)"
        )
        raise CheckpointError(
            f"{path} is truncated or no {kind}; expected {expected}{remedy * old}"
        )
    try:
        _check_records(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged pickle can raise
        raise CheckpointError(
            f"{path} does not load as a {kind} of dnamamba: {why_not_read(error)}"
        ) from error


def why_not_read(error: BaseException) -> str:
    """What to say of an error of ``torch.load``, whose own words advise to run the file's code."""
    if not isinstance(error, pickle.UnpicklingError):
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    code = _CODE.search(str(error))
    name = next((part for part in code.groups() if part), "") if code else ""
    return (
        f"it asks to run code{f' ({name})' if name else ''}, or is damaged. dnamamba never runs "
        "code from a file, it reads nothing but tensors and plain values; do not open such a file "
        "by other means unless you know who wrote it. Use a checkpoint of `dnamamba fit`, or a "
        "model's folder"
    )


def _check_records(path: Path) -> None:
    """PyTorch does not check the records' CRC-32, nor how large they become."""
    with zipfile.ZipFile(path) as records:
        entries = records.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its records are compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its records are larger than the file")
        damaged = records.testzip()
    if damaged is not None:
        raise ValueError(f"record {damaged} is damaged")
