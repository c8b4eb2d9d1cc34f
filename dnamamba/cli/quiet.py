"""Advice of Lightning's that does not apply to this project's runs."""

import logging
import warnings

__all__ = ["quieten"]

_NOISE = (
    "Seed set",
    "GPU available",
    "TPU available",
    "HPU available",
    "💡 Tip",
    "`Trainer.fit` stopped",
)


def quieten() -> None:
    """Keep it from the user's terminal."""
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed"):
        logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith(_NOISE))
    for message in (
        ".*does not have many workers",
        "Checkpoint directory .* is not empty",
        ".*smaller than the logging interval",
        "Be aware that when using `ckpt_path`, callbacks",  # a change of them is said
        ".isinstance.treespec, LeafSpec.. is deprecated",
    ):
        warnings.filterwarnings("ignore", message)
