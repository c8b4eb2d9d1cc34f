import dataclasses
import json
import math
import re
from typing import Any

import pytest
import torch

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.training.optim import (
    OptimizerConfig,
    learning_rate_factor,
    make_optimizer,
    make_schedule,
)


def test_matrices_alone_are_decayed() -> None:
    model = LanguageModel(MambaConfig(d_model=8, n_layers=2, tie_embeddings=False))
    decayed, kept = make_optimizer(model, OptimizerConfig(weight_decay=0.3)).param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    assert {re.sub(r"layers\.\d+\.", "", names[id(p)]) for p in kept["params"]} == {
        "backbone.mixer.A_log",
        "backbone.mixer.D",
        "backbone.mixer.conv1d.bias",
        "backbone.mixer.dt_proj.bias",
        "backbone.norm.weight",
        "backbone.norm_f.weight",
    }
    assert decayed["weight_decay"] == 0.3
    assert kept["weight_decay"] == 0.0
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_frozen_parameters_are_left_out() -> None:
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1))
    model.backbone.embedding.requires_grad_(False)
    groups = make_optimizer(model, OptimizerConfig()).param_groups
    taken = {id(p) for group in groups for p in group["params"]}
    assert id(model.backbone.embedding.weight) not in taken


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.2), (3, 0.8), (4, 1.0), (54, 0.55), (104, 0.1), (1000, 0.1)],
)
def test_warm_up_then_cosine(step: int, factor: float) -> None:
    config = OptimizerConfig(warmup_steps=4, min_lr_ratio=0.1)
    assert learning_rate_factor(step, config, 104) == pytest.approx(factor)


def test_a_run_shorter_than_its_warm_up() -> None:
    config = OptimizerConfig(warmup_steps=10)
    assert learning_rate_factor(9, config, 5) < 1
    assert learning_rate_factor(10, config, 5) == config.min_lr_ratio


def test_a_longer_resumed_run_follows_its_own_schedule() -> None:
    config = OptimizerConfig(warmup_steps=0, min_lr_ratio=0.0)
    model = torch.nn.Linear(2, 2)
    short = make_schedule(make_optimizer(model, config), config, 10)
    for _ in range(5):
        short.optimizer.step()
        short.step()
    long = make_schedule(make_optimizer(model, config), config, 20)
    long.load_state_dict(short.state_dict())
    long.optimizer.step()
    long.step()
    expected = config.lr * (1 + math.cos(math.pi * 6 / 20)) / 2
    assert long.get_last_lr() == pytest.approx([expected, expected])


def test_no_end_no_cosine() -> None:
    config = OptimizerConfig()
    optimizer = make_optimizer(torch.nn.Linear(2, 2), config)
    with pytest.raises(ValueError, match=r"set trainer\.max_steps"):
        make_schedule(optimizer, config, math.inf)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", 0.0),
        ("lr", math.nan),
        ("weight_decay", -1.0),
        ("betas", (0.9, 1.0)),
        ("betas", (0.9,)),
        ("eps", 0.0),
        ("warmup_steps", -1),
        ("min_lr_ratio", 1.5),
    ],
)
def test_a_bad_value_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"optimizer\.{field} must be"):
        OptimizerConfig(**{field: value})


def test_json_round_trip() -> None:
    config = OptimizerConfig(betas=(0.8, 0.9))
    assert OptimizerConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize("fused", [None, True])
def test_an_optimiser_stays_fused_or_not_whatever_was_saved(fused: bool | None) -> None:
    """A checkpoint of a GPU's fused optimiser resumes on a CPU, and the reverse."""
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1))

    def made(kind: bool | None) -> torch.optim.AdamW:
        optimizer = make_optimizer(model, OptimizerConfig())
        for group in optimizer.param_groups:
            group["fused"] = kind
        return optimizer

    def step(optimizer: torch.optim.AdamW) -> None:
        model(torch.randint(4, 8, (1, 5)))[0].sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    before, after = made(None if fused else True), made(fused)
    step(before)
    after.load_state_dict(before.state_dict())
    assert all(group["fused"] is fused for group in after.param_groups)
    step(after)
    assert {float(state["step"]) for state in after.state.values()} == {2.0}


@pytest.mark.gpu
def test_fused_on_a_gpu() -> None:
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1)).cuda()
    assert all(g["fused"] for g in make_optimizer(model, OptimizerConfig()).param_groups)
