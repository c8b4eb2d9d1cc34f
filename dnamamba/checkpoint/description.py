"""A folder's ``config.json``, ours and others': plain JSON of a bounded length."""

import json
from pathlib import Path
from typing import Any

from dnamamba.checkpoint.parts import CheckpointError

__all__ = ["CONFIG", "read_json"]

CONFIG = "config.json"
_LONGEST = 1 << 26  # bytes: with the names of a million classes


def read_json(path: Path) -> Any:
    """What a file says.

    Raises:
        FileNotFoundError: there is none.
        CheckpointError: damaged, no JSON, or too long; names the file.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST >> 20} MiB")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged, it is not JSON: {error}") from error
