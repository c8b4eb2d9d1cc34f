"""What a step will need of the device's memory, said before the first."""

import math
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from rich.console import Console

from dnamamba.data.modules.position import devices_of_share, rank_and_world
from dnamamba.data.modules.resumable import ResumableDataModule
from dnamamba.device import usable_memory
from dnamamba.training.callbacks.carried_lanes import TrainsLanes
from dnamamba.training.memory import Forecast, SaysMemory, Step, StepMemory, readable_bytes

__all__ = ["MemoryForecast"]

# Compute capabilities for which cuBLAS takes more.
_LARGE_WORKSPACE, _LARGE, _SMALL = (9, 10), 32 << 20, (2 * 4096 + 16 * 8) << 10


class MemoryForecast(pl.Callback):
    """A line when ``fit`` starts, and a warning where a step needs more than the device has.

    Nothing is said of data that are not this project's, nor of a backbone that says nothing.

    Args:
        console: where to write; None is standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._forecast: Forecast | None = None
        self._device: torch.device | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        if not isinstance(data, ResumableDataModule) or not isinstance(pl_module, SaysMemory):
            return
        recomputes = "recompute" in pl_module.hparams
        steps = _stages(_step_of(trainer, pl_module, data), data)
        forecasts = [Forecast(pl_module, each, data.length_setting, recomputes) for each in steps]
        self._forecast = max(reversed(forecasts), key=_total)  # of equal ones the last to come
        self._device, step = pl_module.device, self._forecast.step
        memory = self._forecast.of(step)
        if memory is None or not trainer.is_global_zero:
            return
        room = usable_memory(pl_module.device)
        line = _line(step, memory, room)
        if recomputes and step.recompute == "nothing":
            line += _recomputed(self._forecast)
        self.console.print(f"{line})", highlight=False, soft_wrap=True)
        if room is not None and memory.total > room:
            rank_zero_warn(
                f"a step needs about {readable_bytes(memory.total)}, and {pl_module.device} has "
                f"{readable_bytes(room)}. {self._forecast.remedy(room)}"
            )

    def remedy(self) -> str:
        """Which settings would fit, as the device is now; empty where nothing is known."""
        room = None if self._device is None else usable_memory(self._device)
        if self._forecast is None or room is None or self._forecast.of(self._forecast.step) is None:
            return ""
        return self._forecast.remedy(room)


def _line(step: Step, memory: StepMemory, room: int | None) -> str:
    of = "" if room is None else f" of {readable_bytes(room)}"
    read = f"{step.reading.rows:,} x {step.length:,} bases, {step.recompute} recomputed"
    if step.pieces > 1:
        read += f", a row in {step.pieces} pieces"
    each = " on each device" if step.devices * step.pieces > 1 else ""
    return (
        f"memory: about {readable_bytes(memory.total)}{of} a step{each}: "
        f"{readable_bytes(memory.model)} model and optimiser, "
        f"{readable_bytes(memory.activations)} activations ({read}"
    )


def _total(forecast: Forecast) -> int:
    memory = forecast.of(forecast.step)
    return 0 if memory is None else memory.total


def _stages(step: Step, data: ResumableDataModule) -> list[Step]:
    """A run's steps where stages take samples of other lengths.

    Batches can be accumulated where every stage's windows divide: a sample is as many of them.
    """
    stages = data.largest_samples()
    samples = math.gcd(*(windows for windows, _ in stages))
    rows = ((step.windows * (windows // samples), shape[-1]) for windows, shape in stages)
    return [replace(step, samples=samples, windows=n, length=length) for n, length in rows]


def _recomputed(forecast: Forecast) -> str:
    memory = forecast.of(replace(forecast.step, recompute="everything"))
    assert memory is not None
    return f"; {readable_bytes(memory.activations)} with model.recompute: everything"


def _may_capture(trainer: pl.Trainer, module: pl.LightningModule) -> bool:
    """A loss in fp16 is scaled; what is compiled, or in shards, is no graph of ours."""
    plain = str(trainer.precision) != "16-mixed" and not module.hparams.get("compile", False)
    return plain and not getattr(trainer.strategy, "gathers_checkpoints", False)


def _step_of(trainer: pl.Trainer, module: pl.LightningModule, data: ResumableDataModule) -> Step:
    *windows, length = data.dataset("train").sample_shape
    precision, on_gpu = str(trainer.precision), module.device.type == "cuda"
    settings = module.hparams
    workspace = 0
    if on_gpu:
        large = torch.cuda.get_device_capability(module.device)[0] in _LARGE_WORKSPACE
        workspace = _LARGE if large else _SMALL
    return Step(
        samples=data.global_batch_size,
        windows=windows[0] if windows else 1,
        length=length,
        itemsize={"64": 8, "32": 4}.get(precision[:2], 2),
        recompute=settings.get("recompute", "nothing"),
        devices=rank_and_world(trainer)[1],
        pieces=devices_of_share(trainer),
        accumulated=trainer.accumulate_grad_batches,
        on_gpu=on_gpu,
        may_capture=on_gpu and _may_capture(trainer, module),
        workspace=workspace,
        carried=_carried(module, data),
    )


def _carried(module: pl.LightningModule, data: ResumableDataModule) -> int:
    """Bytes of what a row leaves to the next step."""
    if isinstance(module, TrainsLanes) and getattr(data, "carries_state", False):
        return module.lane_states.bytes_of_lane
    return 0
