"""Steps through a decoder are the model's steps."""

import pytest
import torch

from dnamamba.config import MambaConfig
from dnamamba.inference.decoding import Decoder
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
