import numpy as np
import pytest
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model.language_model import LanguageModel

LENGTHS = [5, 1, 700, 64, 65, 2, 699, 33]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer()


@pytest.fixture
def model() -> LanguageModel:
    """A small model with opinions: an untrained one finds all bases about equally likely."""
    torch.manual_seed(0)
    config = MambaConfig(d_model=32, n_layers=2, d_state=8, tie_embeddings=False)
    model = LanguageModel(config)
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
        if model.lm_head is not None:
            model.lm_head.weight.normal_(std=0.3)
    return model


@pytest.fixture(scope="session")
def sequences() -> list[str]:
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGTACGTACGTN", dtype=np.uint8)
    return [letters[random.integers(0, 13, n)].tobytes().decode() for n in LENGTHS]
