"""The shareable folder, written when training ends."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from dnamamba import checkpoint
from dnamamba.cards import CARD, Base, CardSettings, card
from dnamamba.cards.facts import Stamp, base_of
from dnamamba.checkpoint.training_file import from_training
from dnamamba.files import replacing
from dnamamba.training.callbacks.card_facts import Exported, facts_of, sources_of, stamps_of

__all__ = ["ExportModel"]


class ExportModel(pl.Callback):
    """Writes ``config.json``, ``model.safetensors`` and the model's card at the end of ``fit``.

    The weights are those of the best checkpoint, if a callback watched a metric; else the
    last ones; adapters are merged into them. A run that is cut short writes none:
    ``dnamamba.load`` reads its checkpoint.

    The card, ``README.md``, is written anew by every run that ends. Files of the data are hashed
    for it then, not before training; one that has changed meanwhile has no checksum.

    Args:
        folder: where to; a model that stands there is replaced.
        settings: what the card says that no run knows.
    """

    def __init__(self, folder: str | Path, settings: CardSettings | None = None) -> None:
        self.folder, self.settings = Path(folder), settings or CardSettings()
        self._base: Base | None = None
        self._seen: dict[Path, Stamp | None] = {}

    def state_dict(self) -> dict[str, Any]:
        """Which model the run started from: a resume cannot know whether it lies there still."""
        return {} if self._base is None else {"base": [self._base.name, self._base.sha256]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if "base" in state_dict:
            self._base = Base(*state_dict["base"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the files that were read, and at the model that training starts from."""
        self._seen = stamps_of(sources_of(trainer)) if trainer.is_global_zero else {}
        started_from = pl_module.hparams.get("started_from")
        if started_from is not None and self._base is None:
            self._base = base_of(started_from)._replace(card="")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        best = _best(trainer)
        metadata: dict[str, Any] = {"step": trainer.global_step}
        if best is None:
            model, tokenizer = from_training(
                pl_module.hparams, pl_module.state_dict(), type(pl_module).__name__
            )
            exported = Exported(model, trainer.global_step)
        else:
            model, tokenizer = checkpoint.load(best.best_model_path)
            metadata |= {"checkpoint": Path(best.best_model_path).name}
            score = best.best_model_score
            # A part without one of the classes has no ROC curve, and JSON has no NaN.
            if score is not None and math.isfinite(score):
                metadata |= {str(best.monitor): float(score)}
            exported = Exported(
                model, getattr(best, "step", None), best.monitor, metadata.get(str(best.monitor))
            )
        checkpoint.save(self.folder, model, tokenizer, metadata=metadata, overwrite=True)
        base = self._with_card(pl_module)
        told = facts_of(trainer, pl_module, exported, self._name, self.settings, self._seen, base)
        with replacing(self.folder / CARD) as file:
            file.write(card(told).encode())

    @property
    def _name(self) -> str:
        """That of the run, whose folder holds ``model``."""
        folder = self.folder.absolute()
        return folder.parent.name if folder.name == "model" else folder.name

    def _with_card(self, module: pl.LightningModule) -> Base | None:
        """And the card of the base model, if it is still that model."""
        if self._base is None:
            return None
        now = base_of(module.hparams["started_from"])
        same = self._base.sha256 is not None and now.sha256 == self._base.sha256
        return self._base._replace(card=now.card) if same else self._base


def _best(trainer: pl.Trainer) -> ModelCheckpoint | None:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            return callback
    return None
