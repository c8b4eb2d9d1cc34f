"""What a step will need of the device's memory, said before the first."""

from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from rich.console import Console

from dnamamba.data.modules.position import rank_and_world
from dnamamba.data.modules.resumable import ResumableDataModule
from dnamamba.device import usable_memory
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
        step = _step_of(trainer, pl_module, data)
        recomputes = "recompute" in pl_module.hparams
        self._forecast = Forecast(pl_module, step, data.length_setting, recomputes)
        self._device = pl_module.device
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
    each = " on each device" if step.devices > 1 else ""
    return (
        f"memory: about {readable_bytes(memory.total)}{of} a step{each}: "
        f"{readable_bytes(memory.model)} model and optimiser, "
        f"{readable_bytes(memory.activations)} activations ({read}"
    )


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
        accumulated=trainer.accumulate_grad_batches,
        on_gpu=on_gpu,
        may_capture=on_gpu and _may_capture(trainer, module),
        workspace=workspace,
    )
