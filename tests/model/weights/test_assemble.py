"""The same numbers as transformers' Mamba, and weights under other implementations' names."""

import os

import pytest
import torch
from torch import Tensor

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.weights import from_published

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")


def theirs(tied: bool = True, **sizes: object) -> torch.nn.Module:
    """A transformers model with weights large enough for every part to matter."""
    torch.manual_seed(0)
    config = transformers.MambaConfig(
        **{"vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "use_cache": False}
        | {"tie_word_embeddings": tied}
        | sizes
    )
    model = transformers.MambaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("norm.weight", "norm_f.weight", ".D", "A_log", "bias")):
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def relative(got: Tensor, expected: Tensor) -> float:
    return ((got - expected).norm() / expected.norm()).item()


# transformers scans position by position on a CPU: 200 positions take it ten seconds.
@pytest.mark.parametrize("length", [1, 63, 200])
def test_logits_and_gradients_equal_transformers(length):
    reference = theirs()
    model = from_published(reference.state_dict())
    ids = torch.randint(0, 16, (2, length), generator=torch.Generator().manual_seed(length))
    expected = reference(ids).logits
    logits, _ = model(ids)
    assert relative(logits, expected) <= 1e-5

    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * weight).mean().backward()
    (logits * weight).mean().backward()
    got = dict(model.named_parameters())
    compared = 0
    for name, parameter in reference.named_parameters():
        ours = got[name.replace("embeddings.", "embedding.")]
        assert parameter.grad is not None, name
        assert ours.grad is not None, name
        # One position has no state before it, so that its decay has no effect.
        if length == 1 and name.endswith("A_log"):
            assert ours.grad.norm() == parameter.grad.norm() == 0
        else:
            assert relative(ours.grad, parameter.grad) <= 1e-4, name
        compared += 1
    assert compared == len(got)


@torch.no_grad()
def test_an_untied_head_is_read():
    reference = theirs(tied=False)
    model = from_published(reference.state_dict())
    assert not model.config.tie_embeddings
    ids = torch.randint(0, 16, (1, 9))
    assert relative(model(ids)[0], reference(ids).logits) <= 1e-5


@torch.no_grad()
def test_mamba_ssm_names_and_other_sizes_are_read():
    reference = theirs(
        state_size=5, conv_kernel=3, expand=3, time_step_rank=7, vocab_size=24, hidden_size=8
    )
    weights = {
        name.replace("embeddings.", "embedding."): tensor.bfloat16()
        for name, tensor in reference.state_dict().items()
    }
    model = from_published(weights)
    config = model.config
    assert (config.d_state, config.d_conv, config.expand, config.rank) == (5, 3, 3, 7)
    assert (config.vocab_size, config.d_model, config.n_layers) == (24, 8, 2)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    ids = torch.randint(0, 24, (1, 9))
    assert relative(model(ids)[0], reference(ids).logits) < 0.05


def test_published_weights_are_copied():
    weights = theirs().state_dict()
    model = from_published(weights)
    with torch.no_grad():
        model.backbone.norm_f.weight.zero_()
    assert weights["backbone.norm_f.weight"].abs().min() > 0


def test_our_own_weights_are_read():
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=16, n_layers=2, dt_rank=1))
    assert from_published(model.state_dict()).config == model.config


def test_what_is_no_mamba_1_is_refused():
    weights = theirs().state_dict()
    with pytest.raises(ValueError, match=r"not the weights of a Mamba-1.*got lm_head\.weight"):
        from_published({"lm_head.weight": weights["lm_head.weight"]})
    biased = theirs(use_bias=True).state_dict()
    with pytest.raises(ValueError, match=r"unexpected: backbone\.layers\.0\.mixer\.in_proj\.bias"):
        from_published(biased)
    bare = {name: tensor for name, tensor in weights.items() if "conv1d.bias" not in name}
    with pytest.raises(ValueError, match=r"missing: backbone\.layers\.0\.mixer\.conv1d\.bias"):
        from_published(bare)
