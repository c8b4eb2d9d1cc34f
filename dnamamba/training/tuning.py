"""Which weights of a pretrained model move in fine-tuning, when, and how fast."""

import re
from dataclasses import dataclass

from dnamamba.model.backbone import Backbone
from dnamamba.settings import typed
from dnamamba.training.adapters import LoraSettings, add_lora

__all__ = ["TuningConfig", "adapt", "depth_of", "frozen_below", "lr_scale"]

_LAYER = re.compile(r"backbone\.layers\.(\d+)\.")
_EMBEDDING = "backbone.embedding."


@dataclass(frozen=True)
class TuningConfig:
    """How a backbone is fine-tuned; by default all of it at once, at one learning rate.

    Depths count from the embedding, 0, over the layers, 1 to n, to the final norm, the pooling
    and the head, n + 1.

    Attributes:
        freeze: train the pooling and the head alone.
        unfreeze_every: gradual unfreezing (Howard and Ruder 2018, arXiv:1801.06146, section 3.3):
            depth n + 1 trains from the first optimiser step on, and one depth more after every so
            many steps; a depth that waits is not moved.
        layer_decay: each depth learns at the rate of the depth above times this.
        lora: train low-rank adapters beside the frozen projections, the pooling and the head;
            needs the extra ``finetune``.

    Raises:
        ValueError: a value out of range, or ways that exclude each other.
    """

    freeze: bool = False
    unfreeze_every: int | None = None
    layer_decay: float = 1.0
    lora: LoraSettings | None = None

    def __post_init__(self) -> None:
        if self.lora is not None:
            object.__setattr__(self, "lora", typed(LoraSettings, self.lora))
        ways = {
            "freeze": self.freeze,
            "unfreeze_every": self.unfreeze_every is not None,
            "lora": self.lora is not None,
        }
        chosen = [f"tuning.{name}" for name, wanted in ways.items() if wanted]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other; choose one")
        if self.unfreeze_every is not None and self.unfreeze_every < 1:
            raise ValueError(f"tuning.unfreeze_every must be at least 1, got {self.unfreeze_every}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"tuning.layer_decay must be in (0, 1], got {self.layer_decay}")


def adapt(backbone: Backbone, config: TuningConfig) -> None:
    """Freeze what does not train at all, and add adapters, in place.

    Raises:
        ModuleNotFoundError: LoRA without peft; names the extra.
        ValueError: LoRA of a module that the backbone lacks.
    """
    if config.freeze:
        backbone.requires_grad_(False)
    if config.lora is not None:
        add_lora(backbone, config.lora)


def depth_of(name: str, layers: int) -> int:
    """The depth of a parameter, by its name, in a model of so many layers."""
    if layer := _LAYER.search(name):
        return int(layer[1]) + 1
    return 0 if _EMBEDDING in name else layers + 1


def lr_scale(name: str, layers: int, config: TuningConfig) -> float:
    """What the learning rate of the parameter of this name is multiplied by."""
    return config.layer_decay ** (layers + 1 - depth_of(name, layers))


def frozen_below(step: int, layers: int, config: TuningConfig) -> int:
    """The first depth that moves in optimiser step ``step``, 0-based: 0 is all."""
    if config.unfreeze_every is None:
        return 0
    return max(0, layers + 1 - step // config.unfreeze_every)
