"""Low-rank adapters, by the peft library."""

from dataclasses import dataclass

from torch import nn

from dnamamba.extras import library
from dnamamba.model.backbone import Backbone
from dnamamba.model.footprint import Reading

__all__ = ["LoraSettings", "adapter_memory", "add_lora"]

_DROPPED = 6  # bytes a number: its copy and the mask


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): W + alpha / rank * B A.

    Attributes:
        rank: of the product B A.
        alpha: its weight, times the rank.
        dropout: share of an adapter's inputs that training sets to 0.
        targets: the backbone's projections that get one, as ``in_proj``; None: all that the
            backbone names as its ``adapter_targets``.

    Raises:
        ValueError: a value out of range.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.targets is not None:  # YAML and JSON give lists
            object.__setattr__(self, "targets", tuple(self.targets))
        if self.rank < 1:
            raise ValueError(f"tuning.lora.rank must be at least 1, got {self.rank}")
        if not self.alpha > 0:
            raise ValueError(f"tuning.lora.alpha must be positive, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"tuning.lora.dropout must be in [0, 1), got {self.dropout}")


def add_lora(backbone: Backbone, settings: LoraSettings) -> None:
    """Put adapters beside the projections, in place, and freeze everything else.

    B is zero at first, so that the outputs are the same until training moves it.

    Raises:
        ModuleNotFoundError: peft is not installed; names the extra.
        ValueError: a target that is none of the backbone's.
    """
    known = backbone.adapter_targets
    targets = known if settings.targets is None else settings.targets
    if not known:
        raise ValueError(f"tuning.lora: a {type(backbone).__name__} names no projection for one")
    if not targets or not set(targets) <= set(known):
        raise ValueError(
            f"tuning.lora.targets must be of {', '.join(known)}, got {', '.join(targets) or 'none'}"
        )
    peft = library("peft", "finetune", "tuning.lora: low-rank adapters")
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(targets),
    )
    peft.inject_adapter_in_model(config, backbone)


def adapter_memory(backbone: Backbone, reading: Reading, settings: LoraSettings | None) -> int:
    """Bytes that adapters keep of a batch beside the blocks, about: what each reads once more."""
    if settings is None:
        return 0
    # peft reads in the adapter's dtype, which autocast casts back.
    each = (reading.itemsize if reading.itemsize < 4 else 0) + _DROPPED * (settings.dropout > 0)
    maps = (part for name, part in backbone.named_modules() if "lora_A." in name)
    columns = sum(part.in_features for part in maps if isinstance(part, nn.Linear))
    return reading.positions * (2 if backbone.symmetric else 1) * columns * each
