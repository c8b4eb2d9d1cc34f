"""What this room uses of Lightning that is not part of its public face.

An upgrade must check each again, and two more that lie in rooms which do not import this one:
``dnamamba.data.modules.position`` counts by ``fit_loop.epoch_loop.batch_progress`` and, where a
resumed run accumulates otherwise than before, writes its counts anew; ``dnamamba.cli.training``
builds the trainer by ``LightningCLI._get`` and ``._instantiate_trainer``.
"""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

__all__ = ["batches_processed", "hold_sigterm", "release_sigterm", "save_checkpoint"]


def batches_processed(trainer: pl.Trainer) -> int:
    """Training batches done over the whole run, resumes included.

    Of Lightning's counters the only one that is right at every moment at which a checkpoint may be
    written.
    """
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(progress.processed)


def hold_sigterm(trainer: pl.Trainer) -> bool:
    """Take back a SIGTERM on which Lightning would stop after this batch; whether there is one."""
    signals = trainer._signal_connector
    received, signals.received_sigterm = signals.received_sigterm, False
    return received


def release_sigterm(trainer: pl.Trainer) -> None:
    """Let Lightning stop after this batch."""
    trainer._signal_connector.received_sigterm = True


def save_checkpoint(callback: ModelCheckpoint, trainer: pl.Trainer, path: str) -> bool:
    """Write a checkpoint now, unless the callback has nothing to save; whether it did."""
    if callback._should_skip_saving_checkpoint(trainer):
        return False
    callback._save_checkpoint(trainer, path)
    return True
