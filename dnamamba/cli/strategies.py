"""Lightning's strategies: which of them a run here cannot take, and what those are that it can."""

import re
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.strategies import StrategyRegistry

from dnamamba.cli.errors import nearest
from dnamamba.training.replicated import Replicated
from dnamamba.training.sequence_parallel import SequenceParallel

__all__ = ["check_strategy", "made"]

_COPIED = re.compile("spawn|fork|notebook")
_SHARDED = re.compile("fsdp|deepspeed|modelparallel|model_parallel")
_OURS = "fsdp"


def check_strategy(strategy: Any) -> None:
    """Refuse a strategy that would fail later, in words of its own.

    Args:
        strategy: ``trainer.strategy`` as parsed: a name, or a ``class_path`` with ``init_args``.

    Raises:
        ValueError: there is none of this name, it copies the process, or shards the model
            otherwise than is done here; names what to set instead.
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
    if name.lower() != _OURS and _SHARDED.search(name.lower()):
        raise ValueError(
            f"trainer.strategy {name} shards the model over devices in a way that is not "
            "supported; set --trainer.strategy fsdp, which shards it, too, or "
            "--trainer.strategy ddp, with the whole model on each device"
        )
    if isinstance(strategy, str):
        _check_name(strategy)


def _check_name(strategy: str) -> None:
    known = {"auto", *StrategyRegistry.available_strategies()}
    if strategy.lstrip().startswith("{"):  # what is no class that can be made is left as text
        raise ValueError(
            f"trainer.strategy {strategy:.200} names no strategy, or gives it settings that it "
            "does not take; SequenceParallel takes devices_per_sequence, a whole number"
        )
    if strategy.lower() not in known:
        raise ValueError(
            f"there is no trainer.strategy {strategy:.80}{nearest(strategy, known)}; take auto, "
            f"ddp, fsdp or {SequenceParallel.strategy_name}, or a class by class_path"
        )


def made(strategy: Any) -> Any:
    """What the trainer is given for ``trainer.strategy``.

    ``fsdp`` is this project's, and so is ``ddp``, which several devices take by themselves.
    """
    StrategyRegistry.register("ddp", Replicated, "DDP", override=True, start_method="popen")
    if not isinstance(strategy, str) or strategy.lower() != _OURS:
        return strategy
    from dnamamba.training.fully_sharded import FullySharded  # of PyTorch's that takes a second

    return FullySharded()
