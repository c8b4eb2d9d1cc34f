"""Whether devices can share sequences as they are set to, said before any work is done."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from dnamamba.data.windows.lengths import length_setting
from dnamamba.training.sequence_parallel import SequenceParallel, check_groups

__all__ = ["check_sharing", "devices_of"]


def check_sharing(config: Mapping[str, Any]) -> None:
    """Refuse groups of devices that do not come out, and sequences too short for them.

    Nothing is said of what only the machine knows: "auto" devices, or those of a launcher.

    Args:
        config: all settings of a command that trains or tests, as parsed.

    Raises:
        ValueError: names the settings, and what would fit.
    """
    devices = _devices(config["trainer"])
    sharing = _sharing(config["trainer"].get("strategy"), devices)
    if sharing is None:
        return
    check_groups(sharing if devices is None else devices, sharing)
    (length, setting), taps = _shortest(_arguments(config, "data")), _taps(config)
    if isinstance(length, int) and sharing > 1 and length // sharing < max(taps, 1):
        raise ValueError(
            f"{setting} {length} cut into {sharing} pieces leaves a device {length // sharing} "
            f"base(s), and each needs {max(taps, 1)} at least; set "
            f"{setting} to at least {sharing * max(taps, 1)}, or let fewer devices share a "
            "sequence (devices_per_sequence of trainer.strategy)"
        )


def devices_of(value: Any) -> Any:
    """``trainer.devices`` as Lightning reads it: text that says a count or a list is that."""
    if not isinstance(value, str):
        return value
    try:
        numbers = [int(word) for word in value.split(",") if word.strip()]
    except ValueError:
        return value
    return numbers if "," in value or not numbers else numbers[0]


def _shortest(data: Mapping[str, Any]) -> tuple[Any, str]:
    """Bases of a row, of a schedule of lengths those of its shortest stage, and what sets them."""
    lengths = [(data.get("length"), "data.length")]
    stages = data.get("length_schedule") or ()
    lengths += [(length, length_setting(i)) for i, (_, length) in enumerate(stages[:-1])]
    return min(lengths, key=itemgetter(0)) if stages else lengths[0]


def _sharing(strategy: Any, devices: int | None) -> int | None:
    """P; None where no devices share, or nobody knows how many."""
    if str(strategy).lower() == SequenceParallel.strategy_name:
        return devices
    if isinstance(strategy, str) or not hasattr(strategy, "get"):
        return None
    if str(strategy.get("class_path")).rpartition(".")[2] != SequenceParallel.__name__:
        return None
    sharing = (strategy.get("init_args") or {}).get("devices_per_sequence")
    return devices if sharing is None else sharing


def _devices(trainer: Mapping[str, Any]) -> int | None:
    devices, nodes = devices_of(trainer.get("devices")), trainer.get("num_nodes", 1)
    count = len(devices) if isinstance(devices, list) else devices
    return count * nodes if isinstance(count, int) and count > 0 else None


def _arguments(config: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    """Of a section's class."""
    values = config.get(section) or {}
    return values.get("init_args") or values


def _taps(config: Mapping[str, Any]) -> int:
    """Positions of a piece that the next one sees, W - 1, where the sizes are in plain sight."""
    sizes: Any = _arguments(config, "model").get("model")
    width = sizes.get("d_conv") if hasattr(sizes, "get") else getattr(sizes, "d_conv", None)
    return width - 1 if isinstance(width, int) else 0
