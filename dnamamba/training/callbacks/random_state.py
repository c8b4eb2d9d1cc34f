"""Random number generators, carried by the checkpoint."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from dnamamba.training.callbacks.next_batch import NextBatchState

__all__ = ["RandomState"]

State = dict[str, Any]


class RandomState(NextBatchState):
    """Saves the generators of Python, NumPy and torch (CPU and GPU), and restores them.

    Lightning's checkpoints hold none of them, so that dropout and the like would differ after
    a resume. With more ranks than saved states the states are dealt out in turn.
    """

    key = "random_state"

    def collect(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        return _collect(trainer.strategy.root_device)

    def restore(self, state: State, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        _restore(state, trainer.strategy.root_device)

    def _for_next_batch(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        # Plain types and tensors only, so that weights-only loading accepts them.
        state = super()._for_next_batch(trainer, module)
        key = torch.from_numpy(np.asarray(state["numpy"]["key"]).astype(np.int64))
        return {**state, "numpy": {**state["numpy"], "key": key}}

    def choose(self, states: Sequence[State], trainer: pl.Trainer) -> State:
        return states[trainer.global_rank % len(states)]


def _collect(device: torch.device) -> State:
    """As the generators give it, which is quick: it happens before every batch."""
    drawn: Any = np.random.get_state(legacy=False)  # noqa: NPY002 (the global generator)
    state: State = {
        "python": random.getstate(),
        "numpy": {
            "bit_generator": drawn["bit_generator"],
            "key": drawn["state"]["key"],
            "pos": drawn["state"]["pos"],
            "has_gauss": drawn["has_gauss"],
            "gauss": drawn["gauss"],
        },
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _restore(state: State, device: torch.device) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    saved = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        {
            "bit_generator": saved["bit_generator"],
            "state": {"key": np.asarray(saved["key"]).astype(np.uint32), "pos": saved["pos"]},
            "has_gauss": saved["has_gauss"],
            "gauss": saved["gauss"],
        }
    )
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
