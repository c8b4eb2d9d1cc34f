"""SIGTERM to one process of a run ends all of them, behind the same step."""

import signal
import threading
from typing import Any

import pytorch_lightning as pl
import torch

from dnamamba.training.across_devices import Verdict, most_over_ranks
from dnamamba.training.lightning_private import ask_no_others, hold_sigterm, release_sigterm

__all__ = ["StopTogether"]


class StopTogether(pl.Callback):
    """Takes the place of what Lightning does at SIGTERM where there are several processes.

    Lightning talks to the other processes from within the signal's handler, which may have
    interrupted another exchange with them: they then wait for each other for ever; and a signal
    to any but the first process it keeps to that one. Here a process notes the signal, and after
    each optimiser step, and each batch of a validation, all ask each other. On a GPU the answer
    is looked at one step later, so that nobody waits for it.
    """

    def __init__(self) -> None:
        self._noted = False
        self._asked: Verdict | None = None

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen(trainer)
        self._asked = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch:
            self._ask(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._ask(trainer)

    def _listen(self, trainer: pl.Trainer) -> None:
        ask_no_others(trainer)
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            self._noted |= hold_sigterm(trainer)
            signal.signal(signal.SIGTERM, self._note)  # Lightning puts back what was before it

    def _note(self, *_: Any) -> None:
        self._noted = True

    def _ask(self, trainer: pl.Trainer) -> None:
        if trainer.world_size == 1:
            return
        # Filled there: a copy from here would wait for the device.
        noted = torch.full((), float(self._noted), device=trainer.strategy.root_device)
        answer, self._asked = self._asked, Verdict(most_over_ranks(trainer, noted))
        if not self._asked.waits:
            answer = self._asked
        if answer:
            release_sigterm(trainer)
