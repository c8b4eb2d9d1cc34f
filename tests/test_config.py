"""The model's sizes check themselves."""

from dataclasses import FrozenInstanceError, asdict, dataclass
from typing import Literal

import pytest

from dnamamba.config import BackboneConfig, MambaConfig


def test_derived_sizes():
    config = MambaConfig(d_model=40, expand=3)
    assert (config.d_inner, config.rank) == (120, 3)
    assert MambaConfig(d_model=40, dt_rank=7).rank == 7


def test_fields_are_plain_values_that_build_it_again():
    config = MambaConfig(d_model=40, dt_rank=7, dt_max=1)
    assert MambaConfig(**asdict(config)) == config


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        MambaConfig().d_model = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vocab_size", 0, "vocab_size must be at least 1, got 0"),
        ("d_model", -1, "d_model must be at least 1, got -1"),
        ("d_model", 10**30, "d_model must be at most 16,777,216, got 1,000,"),
        ("n_layers", 10_001, "n_layers must be at most 10,000, got 10,001"),
        ("d_model", 16.0, "d_model must be an integer, got 16.0"),
        ("d_model", "16", "d_model must be an integer, got '16'"),
        ("d_model", None, "d_model must be an integer, got None"),
        ("n_layers", True, "n_layers must be an integer, got True"),
        ("d_state", 257, "d_state must be at most 256, got 257"),
        ("d_conv", 5, "d_conv must be 2, 3 or 4, got 5"),
        ("dt_rank", 0, "dt_rank must be at least 1 or null, got 0"),
        ("dt_rank", "auto", "dt_rank must be an integer, got 'auto'"),
        ("dt_min", 1.0, "need 0 < dt_min <= dt_max, got 1.0 and 0.1"),
        ("dt_max", float("nan"), "need 0 < dt_min <= dt_max, got 0.001 and nan"),
        ("dt_max", float("inf"), "need 0 < dt_min <= dt_max, got 0.001 and inf"),
        ("norm_eps", 0.0, "norm_eps must be positive, got 0.0"),
        ("norm_eps", True, "norm_eps must be a number, got True"),
        ("tie_embeddings", 1, "tie_embeddings must be true or false, got 1"),
    ],
)
def test_errors_name_the_field(field, value, message):
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        MambaConfig(**{field: value})


def test_a_family_may_have_settings_that_are_no_numbers():
    @dataclass(frozen=True)
    class Config(BackboneConfig):
        strands: Literal["add", "concatenate"] = "add"
        family: str = "other"

    assert Config(strands="concatenate").strands == "concatenate"
    with pytest.raises(ValueError, match="family must be 'other', got 'mamba'"):
        Config(family="mamba")
