"""Which of Lightning's strategies a run here cannot take, said before any work is done."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["check_strategy"]

_COPIED = re.compile("spawn|fork|notebook")
_SHARDED = re.compile("fsdp|deepspeed|modelparallel|model_parallel")


def check_strategy(strategy: Any) -> None:
    """Refuse a strategy that would fail later, in words of its own.

    Args:
        strategy: ``trainer.strategy`` as parsed: a name, or a ``class_path`` with ``init_args``.

    Raises:
        ValueError: it copies the process, or shards the model; names what to set instead.
    """
    name, method = str(strategy), ""
    if not isinstance(strategy, str) and hasattr(strategy, "get"):
        settings: Mapping[str, Any] = strategy.get("init_args") or {}
        name, method = str(strategy.get("class_path")), str(settings.get("start_method", ""))
    name = name.rpartition(".")[2]
    if _COPIED.search(f"{name} {method}".lower()):
        raise ValueError(
            f"trainer.strategy {name} makes its processes by copying this one, which a run here "
            "does not survive; set --trainer.strategy ddp, which starts each anew"
        )
    if _SHARDED.search(name.lower()):
        raise ValueError(
            f"trainer.strategy {name} shards the model over devices, which is not supported; set "
            "--trainer.strategy ddp, with the whole model on each device"
        )
