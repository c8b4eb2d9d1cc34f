from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import BOS, Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.inference import generation
from dnamamba.inference.generation import _Sampling, generate
from dnamamba.model.language_model import LanguageModel


def _next_logits(model: LanguageModel, tokenizer: Tokenizer, text: str) -> torch.Tensor:
    """(4,) logits of A, C, G and T after ``text``, by a full pass."""
    tokens = np.concatenate([[BOS], tokenizer.encode(text)]).astype(np.int64)
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(tokens)[None])
    return logits[0, -1, list(tokenizer.base_ids)]


@pytest.mark.parametrize("prompt", ["", "GATTACANNC"])
def test_greedy_takes_the_likeliest_base_of_a_full_pass(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str
) -> None:
    got = generate(model, tokenizer, prompt, length=30, temperature=0)
    text = prompt
    for letter in got:
        assert letter == "ACGT"[int(_next_logits(model, tokenizer, text).argmax())]
        text += letter


def test_first_base_follows_the_models_probabilities(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    n = 4000
    drawn = Counter(generate(model, tokenizer, "GAT", length=1, n=n, temperature=2.0))
    p = (_next_logits(model, tokenizer, "GAT") / 2).softmax(0).double()
    for base, probability in zip("ACGT", p.tolist(), strict=True):
        spread = (probability * (1 - probability) / n) ** 0.5
        assert abs(drawn[base] / n - probability) < 5 * spread + 1e-9


def test_each_base_costs_one_step(
    model: LanguageModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, passes = [], []
    step = model.step
    monkeypatch.setattr(model, "step", lambda *given: (steps.append(1), step(*given))[1])
    model.backbone.register_forward_hook(lambda *_: passes.append(1))
    generate(model, tokenizer, "GATTACA", length=20)
    assert (len(passes), len(steps)) == (1, 19)


def test_one_is_a_string_and_many_a_list(model: LanguageModel, tokenizer: Tokenizer) -> None:
    one = generate(model, tokenizer, length=40)
    many = generate(model, tokenizer, length=40, n=3)
    assert len(one) == 40
    assert set(one) <= set("ACGT")
    assert [len(s) for s in many] == [40, 40, 40]
    assert len(set(many)) == 3


def test_a_sequence_depends_on_its_seed_and_number_alone(
    model: LanguageModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "_BLOCK", 16)
    many = generate(model, tokenizer, "AC", length=40, n=5, seed=7)
    assert generate(model, tokenizer, "AC", length=40, n=5, seed=7, batch_size=2) == many
    assert generate(model, tokenizer, "AC", length=40, n=2, seed=7) == many[:2]
    assert generate(model, tokenizer, "AC", length=40, seed=7) == many[0]
    assert generate(model, tokenizer, "AC", length=33, seed=7) == many[0][:33]
    assert generate(model, tokenizer, "AC", length=40, seed=8) not in many


def test_the_users_random_numbers_and_mode_are_left_alone(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    model.train()
    before = torch.get_rng_state()
    generate(model, tokenizer, length=10)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_byte_models_draw_bases_only() -> None:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(vocab_size=256, d_model=16, n_layers=1))
    assert set(generate(model, Tokenizer("byte"), "acgt", length=50)) <= set("ACGT")


LOGITS = torch.tensor([0.1, 0.2, 0.3, 0.4]).log().expand(20_000, 4)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "expected"),
    [
        (1.0, None, None, [0.1, 0.2, 0.3, 0.4]),
        (1.0, 4, 1.0, [0.1, 0.2, 0.3, 0.4]),
        (1.0, 2, None, [0, 0, 3 / 7, 4 / 7]),
        (1.0, None, 0.69, [0, 0, 3 / 7, 4 / 7]),
        (1.0, None, 0.71, [0, 2 / 9, 3 / 9, 4 / 9]),
        (1.0, 1, None, [0, 0, 0, 1]),
        (1.0, None, 1e-9, [0, 0, 0, 1]),
        (0.5, None, None, [1 / 30, 4 / 30, 9 / 30, 16 / 30]),
        (1e-40, None, None, [0, 0, 0, 1]),
        (0, None, None, [0, 0, 0, 1]),
    ],
)
def test_sampling(
    temperature: float, top_k: int | None, top_p: float | None, expected: list[float]
) -> None:
    noise = torch.empty(20_000, 4).exponential_(generator=torch.Generator().manual_seed(1))
    choice = _Sampling(temperature, top_k, top_p).choose(LOGITS, noise)
    shares = np.bincount(choice.numpy(), minlength=4) / 20_000
    np.testing.assert_allclose(shares, expected, atol=0.02)
    np.testing.assert_array_equal(shares[np.array(expected) == 0], 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"temperature": -1.0}, "temperature must be 0 or more, got -1.0"),
        ({"temperature": float("nan")}, "temperature must be 0 or more, got nan"),
        ({"top_k": 0}, "top_k must be 1 to 4"),
        ({"top_k": 5}, "top_k must be 1 to 4"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"seed": 1.5}, r"seed must be a whole number, got 1\.5"),
        ({"length": 3.5}, r"length must be a whole number, got 3\.5"),
        ({"length": None}, "length must be a whole number, got None"),
        ({"n": "2"}, "n must be a whole number, got '2'"),
        ({"n": True}, "n must be a whole number, got True"),
        ({"batch_size": None}, "batch_size must be a whole number, got None"),
        ({"temperature": None}, "temperature must be a number, got None"),
        ({"temperature": "hot"}, "temperature must be a number, got 'hot'"),
        ({"temperature": float("inf")}, "temperature must be 0 or more, got inf"),
        ({"top_k": 2.0}, r"top_k must be a whole number, got 2\.0"),
        ({"top_p": "0.9"}, r"top_p must be a number, got '0\.9'"),
        ({"top_p": float("nan")}, "top_p must be above 0 and at most 1, got nan"),
        ({"prompt": None}, "prompt must be a string or bytes, got NoneType"),
        ({"prompt": ["ACGT"]}, "prompt must be a string or bytes, got list"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        ({"device": 1.5}, r"device must be auto, cpu, cuda, cuda:N or mps, got 1\.5"),
        ({"prompt": "ACZ"}, "prompt, position 2"),
    ],
)
def test_bad_arguments_are_named(
    model: LanguageModel, tokenizer: Tokenizer, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate(model, tokenizer, **{"length": 5, **settings})


def test_a_backbone_cannot_generate(model: LanguageModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="needs a language model, got Mamba"):
        generate(model.backbone, tokenizer, length=5)
