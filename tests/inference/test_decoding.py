"""Steps through a decoder are the model's steps."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.inference import decoding, generation
from dnamamba.inference.decoding import Decoder
from dnamamba.inference.generation import generate
from dnamamba.model import LanguageModel


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@torch.inference_mode()
def test_the_models_own_steps(device: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=16, n_layers=2)).to(device).eval()
    tokens = torch.randint(4, 8, (20, 3), device=device)
    _, start = model(torch.randint(4, 8, (3, 9), device=device))
    untouched = start.clone()
    decoder, state = Decoder(model, start), start
    for row in tokens:
        expected, state = model.step(row, state)
        torch.testing.assert_close(decoder.step(row), expected)
    assert all(torch.equal(a, b) for a, b in zip(start.tensors, untouched.tensors, strict=True))


class _Repeated:
    """What a captured graph does, without one."""

    def __init__(self, work: Callable[[], None], device: torch.device) -> None:
        self.replay = work
        for _ in range(decoding._WARM_UP):
            work()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0.5, "top_k": 3}, {"top_p": 0.7}, {"temperature": 0}]
)
def test_what_is_drawn_in_place_is_what_steps_draw(
    monkeypatch: pytest.MonkeyPatch, device: str, settings: dict[str, float]
) -> None:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=16, n_layers=2)).eval()
    torch.nn.init.normal_(model.backbone.embedding.weight)
    how: Any = {"length": 40, "n": 5, "batch_size": 2, **settings}
    expected = generate(model, Tokenizer(), "GATTACA", **how)
    monkeypatch.setattr(generation, "_BLOCK", 16)
    if device == "cpu":
        monkeypatch.setattr(decoding, "_repeats", lambda _: True)
        monkeypatch.setattr(decoding, "_captured", _Repeated)
    blocks = generate(model, Tokenizer(), "GATTACA", **how, device=device)
    assert blocks == expected
    assert generate(model, Tokenizer(), "GATTACA", **{**how, "length": 1}) == [
        text[:1] for text in expected
    ]
