"""Which values of a run's settings make no sense, said before any work is done.

Lightning looks at some of the trainer's only in the middle of a run, and at some not at all.
"""

import math
from collections.abc import Mapping
from typing import Any

from dnamamba.cli.sharing import check_sharing, devices_of
from dnamamba.cli.strategies import check_strategy

__all__ = ["check_run"]

_MOST_DEVICES = 1024  # of one machine
_LEAST = {
    "accumulate_grad_batches": (1, "batch"),
    "check_val_every_n_epoch": (1, "epoch, or null to count steps"),
    "gradient_clip_val": (0, "or null for no clipping"),
    "limit_train_batches": (0, "batches"),
    "log_every_n_steps": (0, "steps"),
    "min_epochs": (0, "epochs"),
    "min_steps": (0, "steps"),
    "num_nodes": (1, "machine"),
    "num_sanity_val_steps": (-1, "batches, -1 for all"),
    "val_check_interval": (1, "step"),
}
_MOST = {"num_nodes": 1_000_000}


def check_run(config: Mapping[str, Any]) -> None:
    """Refuse what would fail late, hang, or train otherwise than was meant.

    Args:
        config: all settings of a command that trains or tests, as parsed.

    Raises:
        ValueError: a value is out of range; names it, and what it may be.
    """
    if not config["run_dir"].strip():
        raise ValueError("run_dir is empty; name the folder of everything that the run writes")
    if config["checkpoint_every"] < 1:
        raise ValueError(
            f"checkpoint_every must be at least 1 step, got {config['checkpoint_every']}"
        )
    _check_trainer(config["trainer"])
    _check_devices(config["trainer"].get("devices"))
    check_strategy(config["trainer"].get("strategy"))
    check_sharing(config)


def _check_trainer(values: Mapping[str, Any]) -> None:
    for name, (least, unit) in _LEAST.items():
        value = values.get(name)
        # Where a share of an epoch may stand, Lightning sees that it is one.
        share = isinstance(value, float) and name in ("val_check_interval", "limit_train_batches")
        if not isinstance(value, int | float) or isinstance(value, bool) or share:
            continue
        if value < least or math.isinf(value):
            raise ValueError(f"trainer.{name} must be at least {least} {unit}, got {value}")
        if value > _MOST.get(name, value):
            raise ValueError(f"trainer.{name} must be at most {_MOST[name]:,}, got {value}")


def _check_devices(devices: Any) -> None:
    numbers = devices_of(devices)
    if isinstance(numbers, int) and not isinstance(numbers, bool):
        fits = numbers == -1 or 1 <= numbers <= _MOST_DEVICES
    elif isinstance(numbers, list):
        fits = 0 < len(numbers) == len(set(numbers)) and all(
            isinstance(number, int) and 0 <= number < _MOST_DEVICES for number in numbers
        )
    else:
        fits = numbers == "auto"
    if not fits:
        raise ValueError(
            f"trainer.devices must be 1 to {_MOST_DEVICES:,} devices, a list of the numbers of "
            f"different ones, -1 for all, or auto; got {devices!r:.60}"
        )
