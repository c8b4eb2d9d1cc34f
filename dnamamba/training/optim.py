"""AdamW with explicit parameter groups, warm-up and a cosine."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = [
    "OptimizerConfig",
    "averages",
    "learning_rate_factor",
    "make_optimizer",
    "make_schedule",
    "weight_decayed",
]

_MOST = 1e30  # torch raises an error of its own where a product leaves float32


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) and its schedule.

    Attributes:
        lr: peak learning rate, reached when the warm-up ends.
        weight_decay: of matrices; A_log, D, biases and norms are never decayed.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the square root in the denominator.
        warmup_steps: optimiser steps from near 0 to ``lr``, linear; 0 starts at ``lr``.
        min_lr_ratio: the cosine ends at ``lr`` times this; 1 keeps ``lr`` after the warm-up.
        average: validate and keep a running mean of the weights that reaches back over this share
            of the run's steps, as 0.05; 0: the weights themselves. Less noise, which matters where
            a run overfits, for one more copy of the weights.

    Raises:
        ValueError: a value is out of range; names the field.
    """

    lr: float = 1e-3
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    warmup_steps: int = 100
    min_lr_ratio: float = 0.1
    average: float = 0.0

    def __post_init__(self) -> None:
        # A checkpoint's hyper-parameters are JSON, which knows lists only.
        object.__setattr__(self, "betas", tuple(self.betas))
        if not 0 < self.lr < math.inf:
            raise ValueError(f"optimizer.lr must be positive, got {self.lr}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"optimizer.weight_decay must be 0 or more, got {self.weight_decay}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimizer.betas must be two numbers in [0, 1), got {self.betas}")
        if not 0 < self.eps < math.inf:
            raise ValueError(f"optimizer.eps must be positive, got {self.eps}")
        for name in ("lr", "weight_decay", "eps"):
            if getattr(self, name) > _MOST:
                raise ValueError(
                    f"optimizer.{name} must be at most {_MOST}, got {getattr(self, name)}"
                )
        if self.warmup_steps < 0:
            raise ValueError(f"optimizer.warmup_steps must be 0 or more, got {self.warmup_steps}")
        if not 0 <= self.min_lr_ratio <= 1:
            raise ValueError(f"optimizer.min_lr_ratio must be in [0, 1], got {self.min_lr_ratio}")
        if not 0 <= self.average < 1:
            raise ValueError(f"optimizer.average must be in [0, 1), got {self.average}")


def make_optimizer(
    module: nn.Module,
    config: OptimizerConfig,
    lr_scale: Callable[[str], float] = lambda name: 1.0,
) -> torch.optim.AdamW:
    """AdamW over the parameters of ``module`` that want a gradient, in groups.

    A group shares a learning rate, and whether it is decayed (see ``weight_decayed``). A shared
    parameter is taken once. On a GPU the optimiser is PyTorch's fused one.

    Args:
        module: what is trained.
        config: the settings.
        lr_scale: name of a parameter -> what its learning rate is multiplied by.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    decayed = weight_decayed(module)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            key = lr_scale(name), name in decayed
            groups.setdefault(key, []).append(parameter)
    optimizer = _AdamW(
        [
            {
                "params": groups[scale, decays],
                "lr": config.lr * scale,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for scale, decays in sorted(groups, reverse=True)
        ],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=all(p.is_cuda for group in groups.values() for p in group) or None,
    )
    optimizer.register_load_state_dict_pre_hook(_keeps_settings)
    # Without this Lightning takes a fused optimiser for one whose gradients are still scaled, and
    # refuses to clip them; under fp16 its scaler unscales them first, as for any other.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def averages(module: nn.Module) -> bool:
    """Whether a mean of the weights is kept beside them, by the module's settings."""
    config = getattr(module, "optimizer", None)
    return isinstance(config, OptimizerConfig) and config.average > 0


def weight_decayed(module: nn.Module) -> set[str]:
    """Names of the parameters that an optimiser decays.

    Matrices are; biases and norms are not, nor what a submodule names in ``no_weight_decay``.
    """
    exempt = {
        f"{path}.{name}" if path else name
        for path, part in module.named_modules()
        for name in getattr(part, "no_weight_decay", ())
    }
    return {name for name, x in module.named_parameters() if x.ndim >= 2 and name not in exempt}


class _AdamW(torch.optim.AdamW):
    """PyTorch's, without the import of torch._dynamo, which takes seconds at the first step.

    That is asked for to keep an optimiser's methods out of what is compiled, as none is here.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss: float | None = inspect.unwrap(torch.optim.AdamW.step)(self, closure)
        return loss


def _keeps_settings(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's running means under the settings that the optimiser was made with.

    Raises:
        ValueError: the parameters were trained in other groups, or others were.
    """
    before, now = state["param_groups"], optimizer.param_groups
    sizes = [[len(group["params"]) for group in groups] for groups in (before, now)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"cannot resume: the checkpoint trains parameters in groups of {sizes[0]}, this run in "
            f"groups of {sizes[1]}; set model.tuning as in the run that wrote the checkpoint, or "
            "start a new run from its weights"
        )
    groups = zip(before, now, strict=True)
    return {**state, "param_groups": [{**new, "params": old["params"]} for old, new in groups]}


def learning_rate_factor(step: int, config: OptimizerConfig, total_steps: float) -> float:
    """What ``lr`` is multiplied by at optimiser step ``step``, 0-based.

    Linear over the warm-up, then half a cosine down to ``min_lr_ratio`` at ``total_steps``,
    and constant from there on.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    span = total_steps - config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / span) if span > 0 else 1.0
    return config.min_lr_ratio + (1 - config.min_lr_ratio) * (1 + math.cos(math.pi * done)) / 2


def make_schedule(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, total_steps: float
) -> LambdaLR:
    """The schedule of ``learning_rate_factor``, stepped once an optimiser step.

    A resumed run takes the learning rate and ``total_steps`` from its own configuration, not
    from the checkpoint, so that a run can be made longer, or go on at another rate: from its
    first step on as if it had always been so.

    Raises:
        ValueError: ``total_steps`` is infinite, and the cosine has no end.
    """
    if math.isinf(total_steps):
        raise ValueError(
            "the learning rate's cosine needs to know where the run ends: "
            "set trainer.max_steps or trainer.max_epochs"
        )
    return _Schedule(optimizer, lambda step: learning_rate_factor(step, config, total_steps))


class _Schedule(LambdaLR):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "base_lrs": self.base_lrs})
        rates = [
            base * factor(self.last_epoch)
            for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates
