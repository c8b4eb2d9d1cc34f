import copy
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from models import opinionated
from torch import nn

from dnamamba.alphabet import BOS, Tokenizer
from dnamamba.inference.embedding import Pooling, embed
from dnamamba.model.language_model import LanguageModel

POOLINGS: list[Pooling] = ["mean", "max", "last"]
# fp32 sums and products, in another order.
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}


def _plain(model: LanguageModel, tokenizer: Tokenizer, sequence: str) -> np.ndarray:
    """(bases, d_model): the hidden states, the sequence read alone and uncut."""
    tokens = torch.from_numpy(np.concatenate([[BOS], tokenizer.encode(sequence)]))
    with torch.no_grad():
        hidden, _ = model.backbone(tokens[None])
    return hidden[0, 1:].numpy()


@pytest.fixture(scope="session")
def alone(tokenizer: Tokenizer, sequences: list[str]) -> list[np.ndarray]:
    """The hidden states of each sequence by itself."""
    return [_plain(opinionated(), tokenizer, sequence) for sequence in sequences]


@pytest.mark.parametrize("pooling", [*POOLINGS, None])
@pytest.mark.parametrize(("batch_size", "chunk_length"), [(1, 10**6), (3, 64), (8, 50), (100, 333)])
def test_equals_each_sequence_alone_and_uncut(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sequences: list[str],
    alone: list[np.ndarray],
    pooling: Pooling | None,
    batch_size: int,
    chunk_length: int,
) -> None:
    got = embed(
        model,
        tokenizer,
        sequences,
        pooling=pooling,
        batch_size=batch_size,
        chunk_length=chunk_length,
    )
    pool = {
        "mean": lambda h: h.mean(0),
        "max": lambda h: h.max(0),
        "last": lambda h: h[-1],
        None: lambda h: h,
    }[pooling]
    assert len(got) == len(sequences)
    for vector, hidden in zip(got, alone, strict=True):
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, pool(hidden), **CLOSE)


@pytest.mark.parametrize("pooling", [*POOLINGS, None])
def test_one_base_at_a_time(
    model: LanguageModel, tokenizer: Tokenizer, pooling: Pooling | None
) -> None:
    sequences = ["ACGTTGCAAC", "GATTACA", "C"]
    once = embed(model, tokenizer, sequences, pooling=pooling)
    by_one = embed(model, tokenizer, sequences, pooling=pooling, chunk_length=1)
    for expected, got in zip(once, by_one, strict=True):
        np.testing.assert_allclose(got, expected, **CLOSE)


def test_a_bare_backbone_gives_the_same(
    model: LanguageModel, tokenizer: Tokenizer, sequences: list[str]
) -> None:
    np.testing.assert_array_equal(
        embed(model.backbone, tokenizer, sequences), embed(model, tokenizer, sequences)
    )


def test_bytes_and_lower_case_are_read_alike(model: LanguageModel, tokenizer: Tokenizer) -> None:
    text, raw = embed(model, tokenizer, ["ACGT", b"acgt"])
    np.testing.assert_array_equal(text, raw)


def test_half_precision_comes_back_as_float32(
    model: LanguageModel, tokenizer: Tokenizer, sequences: list[str]
) -> None:
    exact = embed(model, tokenizer, sequences)
    half = embed(copy.deepcopy(model).bfloat16(), tokenizer, sequences)
    assert half.dtype == np.float32
    assert np.linalg.norm(half - exact) < 0.05 * np.linalg.norm(exact)


class _Fails(nn.Module):
    def forward(self, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("fails", [False, True])
def test_mode_is_given_back_module_by_module(
    model: LanguageModel, tokenizer: Tokenizer, fails: bool
) -> None:
    model.train()
    model.backbone.layers[0].eval()
    if fails:
        model.backbone.layers[1] = _Fails()
    modes = [module.training for module in model.modules()]
    if fails:
        with pytest.raises(RuntimeError, match="on purpose"):
            embed(model, tokenizer, ["ACGT"])
    else:
        embed(model, tokenizer, ["ACGT"])
    assert [module.training for module in model.modules()] == modes
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_the_model_can_still_be_trained_afterwards(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    embed(model, tokenizer, ["ACGT"], device="cpu")
    logits, _ = model(torch.tensor([[1, 4, 5]]))
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.gpu
def test_a_borrowed_device_is_given_back(
    model: LanguageModel, tokenizer: Tokenizer, sequences: list[str]
) -> None:
    on_gpu = embed(model, tokenizer, sequences, device="cuda")
    assert next(model.parameters()).device.type == "cpu"
    np.testing.assert_allclose(on_gpu, embed(model, tokenizer, sequences), rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_nothing_waits_for_the_device_between_batches(
    model: LanguageModel, tokenizer: Tokenizer, pooling: Any
) -> None:
    """Of 9 batches and of twice as many: as often, at the end and on the way there and back."""
    model.to("cuda")
    waits = []
    for number in (36, 36, 72):  # the first run makes what is made once
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                embed(model, tokenizer, ["ACGTACG"] * number, pooling=pooling, batch_size=4)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchroniz" in str(warning.message) for warning in caught))
    assert waits[1] == waits[2]


@pytest.mark.parametrize(
    ("sequences", "settings", "message"),
    [
        (["ACGT", ""], {}, r"sequences\[1\] is empty"),
        ([], {}, "at least one sequence"),
        ("ACGT", {}, "got one string; wrap it in a list"),
        (["ACGT", "ACLT"], {}, r"sequences\[1\], position 2 .*protein"),
        (["AC GT"], {}, r"sequences\[0\], position 2"),
        (["ACGT", None], {}, r"sequences\[1\] must be a string or bytes, got NoneType"),
        (["ACGT"], {"pooling": "sum"}, "pooling must be 'mean', 'max', 'last' or None, got 'sum'"),
        (["ACGT"], {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        (["ACGT"], {"chunk_length": 0}, "chunk_length must be at least 1, got 0"),
        (["ACGT"], {"batch_size": "8"}, "batch_size must be a whole number, got '8'"),
        (["ACGT"], {"batch_size": None}, "batch_size must be a whole number, got None"),
        (["ACGT"], {"batch_size": 2.0}, r"batch_size must be a whole number, got 2\.0"),
        (["ACGT"], {"chunk_length": "9"}, "chunk_length must be a whole number, got '9'"),
        (["ACGT"], {"layer": "1"}, "layer must be a whole number, got '1'"),
        (["ACGT"], {"layer": None}, "layer must be a whole number, got None"),
        (["ACGT"], {"layer": 7}, "layer must be 0 to 1, the blocks of this model"),
        (["ACGT"], {"pooling": 1}, "pooling must be 'mean', 'max', 'last' or None, got 1"),
        (["ACGT"], {"device": "gpu"}, "device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
    ],
)
def test_bad_input_is_named(
    model: LanguageModel, tokenizer: Tokenizer, sequences: Any, settings: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        embed(model, tokenizer, sequences, **settings)


def test_what_is_no_model_is_refused(model: LanguageModel, tokenizer: Tokenizer) -> None:
    anything: Any = None
    with pytest.raises(ValueError, match="the model must have a backbone, got NoneType"):
        embed(anything, tokenizer, ["ACGT"])
    with pytest.raises(ValueError, match="the model must have a backbone, got Linear"):
        embed(nn.Linear(2, 2), tokenizer, ["ACGT"])
    with pytest.raises(ValueError, match="tokenizer must be the model's, got NoneType"):
        embed(model, anything, ["ACGT"])


def test_a_foreign_tokenizer_is_refused(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="vocabulary of 16 ids, the tokenizer 'byte' one of 256"):
        embed(model, Tokenizer("byte"), ["ACGT"])
