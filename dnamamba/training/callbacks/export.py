"""The shareable folder, written when training ends."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from dnamamba import checkpoint
from dnamamba.checkpoint.training_file import from_training

__all__ = ["ExportModel"]


class ExportModel(pl.Callback):
    """Writes ``config.json`` and ``model.safetensors`` at the end of ``fit``.

    The weights are those of the best checkpoint, if a callback watched a metric; else the
    last ones; adapters are merged into them. A run that is cut short writes none:
    ``dnamamba.load`` reads its checkpoint.

    Args:
        folder: where to; a model that stands there is replaced.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        best = _best(trainer)
        metadata: dict[str, Any] = {"step": trainer.global_step}
        if best is None:
            model, tokenizer = from_training(
                pl_module.hparams, pl_module.state_dict(), type(pl_module).__name__
            )
        else:
            model, tokenizer = checkpoint.load(best.best_model_path)
            metadata |= {"checkpoint": Path(best.best_model_path).name}
            score = best.best_model_score
            # A part without one of the classes has no ROC curve, and JSON has no NaN.
            if score is not None and math.isfinite(score):
                metadata |= {str(best.monitor): float(score)}
        checkpoint.save(self.folder, model, tokenizer, metadata=metadata, overwrite=True)


def _best(trainer: pl.Trainer) -> ModelCheckpoint | None:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            return callback
    return None
