"""The reference's initialisation, names and weight decay."""

import math

import pytest
import torch
from torch.nn import functional as F

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.training.optim import weight_decayed

CONFIG = MambaConfig(d_model=256, n_layers=4, dt_min=1e-3, dt_max=1e-1)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(CONFIG)


def test_decay_and_skip(model):
    for layer in model.backbone.layers:
        expected = torch.arange(1.0, 17.0).expand(512, 16)
        torch.testing.assert_close(layer.mixer.A_log.exp(), expected)
        assert torch.equal(layer.mixer.D, torch.ones(512))


def test_step_is_log_uniform(model):
    dt = torch.stack([F.softplus(layer.mixer.dt_proj.bias) for layer in model.backbone.layers])
    place = (dt.log() - math.log(1e-3)) / (math.log(1e-1) - math.log(1e-3))
    assert -1e-3 < place.min() < 0.01
    assert 0.99 < place.max() < 1 + 1e-3
    # 2,048 draws: four standard errors of a uniform's mean, and of its quartiles.
    quartiles = torch.quantile(place, torch.tensor([0.25, 0.5, 0.75]))
    assert abs(place.mean() - 0.5) < 4 * 0.289 / 2048**0.5
    torch.testing.assert_close(quartiles, torch.tensor([0.25, 0.5, 0.75]), rtol=0, atol=0.045)


def test_step_has_a_floor():
    model = LanguageModel(MambaConfig(d_model=16, n_layers=1, dt_min=1e-7, dt_max=1e-6))
    dt = F.softplus(model.backbone.layers[0].mixer.dt_proj.bias)
    torch.testing.assert_close(dt, torch.full_like(dt, 1e-4), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("in_proj", 256**-0.5),
        ("x_proj", 512**-0.5),
        ("dt_proj", 16**-0.5),
        ("out_proj", 512**-0.5 / 4**0.5),
    ],
)
def test_projections_are_uniform(model, name, bound):
    for layer in model.backbone.layers:
        weight = getattr(layer.mixer, name).weight.detach()
        assert 0.99 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


def test_embedding_and_norms(model):
    assert model.backbone.embedding.weight.std().item() == pytest.approx(0.02, rel=0.05)
    norms = [layer.norm for layer in model.backbone.layers] + [model.backbone.norm_f]
    assert all(torch.equal(norm.weight, torch.ones(256)) for norm in norms)


def test_layers_differ(model):
    first, second = (layer.mixer for layer in model.backbone.layers[:2])
    assert not torch.equal(first.dt_proj.bias, second.dt_proj.bias)
    assert not torch.equal(first.out_proj.weight, second.out_proj.weight)


def test_half_precision_by_default_leaves_the_decay_and_the_step_exact():
    torch.manual_seed(0)
    expected = LanguageModel(CONFIG)
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = LanguageModel(CONFIG)
    finally:
        torch.set_default_dtype(torch.float32)
    for layer, exact in zip(model.backbone.layers, expected.backbone.layers, strict=True):
        assert torch.equal(layer.mixer.A_log, exact.mixer.A_log)
        bias = layer.mixer.dt_proj.bias
        assert bias.dtype == torch.bfloat16
        # 2^-8 of softplus^-1(1e-3) = -6.9 is 3 % of the step; computed in bf16 it would be more.
        place = F.softplus(bias.float()).log()
        assert math.log(1e-3) - 0.03 <= place.min()
        assert place.max() <= math.log(1e-1) + 0.03


@pytest.mark.parametrize("tied", [True, False])
def test_names_are_the_reference_s(tied):
    config = MambaConfig(d_model=16, n_layers=2, tie_embeddings=tied)
    mixer = ["A_log", "D", "conv1d.bias", "conv1d.weight", "dt_proj.bias", "dt_proj.weight"]
    mixer += ["in_proj.weight", "out_proj.weight", "x_proj.weight"]
    expected = {"backbone.embedding.weight", "backbone.norm_f.weight"}
    for i in range(2):
        expected |= {f"backbone.layers.{i}.mixer.{name}" for name in mixer}
        expected.add(f"backbone.layers.{i}.norm.weight")
    if not tied:
        expected.add("lm_head.weight")
    assert set(LanguageModel(config).state_dict()) == expected


def test_weight_decay_spares_decay_skip_biases_and_norms():
    model = LanguageModel(MambaConfig(d_model=16, n_layers=1, tie_embeddings=False))
    spared = {name for name, _ in model.named_parameters()} - weight_decayed(model)
    assert spared == {
        "backbone.layers.0.norm.weight",
        "backbone.layers.0.mixer.A_log",
        "backbone.layers.0.mixer.D",
        "backbone.layers.0.mixer.conv1d.bias",
        "backbone.layers.0.mixer.dt_proj.bias",
        "backbone.norm_f.weight",
    }
