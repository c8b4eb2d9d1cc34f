"""Low-rank adapters, by the peft library."""

from dataclasses import dataclass

from torch import nn

from dnamamba.extras import library

__all__ = ["LoraSettings", "add_lora"]


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): W + alpha / rank * B A.

    Attributes:
        rank: of the product B A.
        alpha: its weight, times the rank.
        dropout: share of an adapter's inputs that training sets to 0.
        targets: the mixers' projections that get one: of ``in_proj``, ``x_proj``, ``dt_proj``
            and ``out_proj``.

    Raises:
        ValueError: a value out of range.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("in_proj", "x_proj", "dt_proj", "out_proj")

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))  # YAML and JSON give lists
        known = ("in_proj", "x_proj", "dt_proj", "out_proj")
        if self.rank < 1:
            raise ValueError(f"tuning.lora.rank must be at least 1, got {self.rank}")
        if not self.alpha > 0:
            raise ValueError(f"tuning.lora.alpha must be positive, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"tuning.lora.dropout must be in [0, 1), got {self.dropout}")
        if not self.targets or not set(self.targets) <= set(known):
            raise ValueError(
                f"tuning.lora.targets must be of {', '.join(known)}, "
                f"got {', '.join(self.targets) or 'none'}"
            )


def add_lora(backbone: nn.Module, settings: LoraSettings) -> None:
    """Put adapters beside the projections, in place, and freeze everything else.

    B is zero at first, so that the outputs are the same until training moves it.

    Raises:
        ModuleNotFoundError: peft is not installed; names the extra.
    """
    peft = library("peft", "finetune", "tuning.lora: low-rank adapters")
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
    )
    peft.inject_adapter_in_model(config, backbone)
