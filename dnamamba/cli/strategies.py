"""Lightning's strategies: which of them a run here cannot take, and what those are that it can."""

import re
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry

__all__ = ["check_strategy", "made"]

_COPIED = re.compile("spawn|fork|notebook")
_SHARDED = re.compile("fsdp|deepspeed|modelparallel|model_parallel")
_OURS = "fsdp"


def check_strategy(strategy: Any) -> None:
    """Refuse a strategy that would fail later, in words of its own.

    Args:
        strategy: ``trainer.strategy`` as parsed: a name, or a ``class_path`` with ``init_args``.

    Raises:
        ValueError: it copies the process, or shards the model otherwise than is done here; names
            what to set instead.
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
    if name != _OURS and _SHARDED.search(name.lower()):
        raise ValueError(
            f"trainer.strategy {name} shards the model over devices in a way that is not "
            "supported; set --trainer.strategy fsdp, which shards it, too, or "
            "--trainer.strategy ddp, with the whole model on each device"
        )


def made(strategy: Any) -> Any:
    """What the trainer is given for ``trainer.strategy``.

    ``fsdp`` is this project's. Of ``ddp``, which several devices take by themselves, gradients lie
    where they are exchanged, instead of in two places.
    """
    how = {"start_method": "popen", "gradient_as_bucket_view": True}
    StrategyRegistry.register("ddp", DDPStrategy, "DDP", override=True, **how)
    if strategy != _OURS:
        return strategy
    from dnamamba.training.fully_sharded import FullySharded  # of PyTorch's that takes a second

    return FullySharded()
