"""What must agree before the Transformer and the Mamba are timed, at a small size."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformer import (
    HEAD_DIM,
    Transformer,
    beside,
    causal_attention,
    explicit_attention,
)
from transformer_decoding import ATTENTIONS, CachedDecoder, new_cache

from dnamamba.config import MambaConfig
from dnamamba.inference.decoding import Decoder
from dnamamba.model import LanguageModel

__all__ = ["BACKENDS", "check", "first_line", "largest_error"]

BACKENDS = {
    "cuda": {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION},
    "cpu": {"flash": SDPBackend.FLASH_ATTENTION},
}
"""Device -> name of one of ``scaled_dot_product_attention``'s kernels that know a causal mask."""

ROWS, LENGTH = 3, 48
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}  # of the largest number


def largest_error(expected: Tensor, got: Tensor) -> float:
    """Of the largest expected number."""
    expected, got = expected.detach(), got.detach()
    return float((expected - got).abs().max() / expected.abs().max())


def check(device: str) -> tuple[dict[str, float], dict[str, str]]:
    """Attention's kernels, decoding with a cache and our steps, each against all at once.

    Returns:
        The largest errors, and what does not run here with the reason.

    Raises:
        AssertionError: two that should agree do not; names them.
    """
    torch.manual_seed(0)
    config = MambaConfig(d_model=128, n_layers=2)
    tokens = torch.randint(4, 8, (ROWS, LENGTH), device=device)
    model = Transformer(beside(config)).to(device)
    mamba = LanguageModel(config).to(device)
    works: dict[str, Callable[[], float]] = {
        **{f"{name} attention": partial(_backend, name, device) for name in BACKENDS[device]},
        **{f"{name} decoding": partial(_decoding, model, tokens, name) for name in ATTENTIONS},
        "the whole Transformer": partial(_whole, model, tokens),
        "Mamba's steps": partial(_steps, mamba, tokens),
    }
    errors, absent = {}, {}
    for name, work in works.items():
        try:
            errors[name] = work()
        except RuntimeError as error:
            absent[name] = first_line(error)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
    return errors, absent


def _backend(name: str, device: str) -> float:
    """One kernel in bf16, output and gradients, against attention written out in fp32."""
    tensors = torch.randn(4, 2, 200, 3, HEAD_DIM, device=device).bfloat16().unbind()
    q, k, v, upstream = (x.transpose(1, 2) for x in tensors)
    inputs = [x.requires_grad_() for x in (q, k, v)]
    with sdpa_kernel(BACKENDS[device][name]):
        y = causal_attention(*inputs)
        got = [y, *torch.autograd.grad(y, inputs, upstream)]
    exact = [x.detach().float().requires_grad_() for x in inputs]
    y = explicit_attention(*exact)
    expected = [y, *torch.autograd.grad(y, exact, upstream.float())]
    return max(_agree(x, z, torch.bfloat16) for x, z in zip(expected, got, strict=True))


@torch.no_grad()
def _whole(model: Transformer, tokens: Tensor) -> float:
    return _agree(model(tokens, explicit_attention), model(tokens), torch.float32)


@torch.no_grad()
def _decoding(model: Transformer, tokens: Tensor, attention: str) -> float:
    """Step by step after a context of nothing, against all at once."""
    # Flash attention knows no fp32 on a GPU.
    dtype = torch.bfloat16 if attention == "flash" else torch.float32
    stepped = Transformer(model.config).to(tokens.device, dtype)
    stepped.load_state_dict(model.state_dict())
    cache = new_cache(model.config, ROWS, LENGTH, tokens.device.type, dtype)
    decoder = CachedDecoder(stepped, cache, 0, LENGTH, attention)
    got = torch.stack([decoder.step(token).clone() for token in tokens.T], 1)
    return _agree(model(tokens, explicit_attention), got, dtype)


@torch.inference_mode()
def _steps(model: LanguageModel, tokens: Tensor) -> float:
    """Half read at once, half stepped, against all read at once."""
    exact, _ = model(tokens)
    _, state = model(tokens[:, : LENGTH // 2])
    assert state is not None
    decoder = Decoder(model, state)
    got = [decoder.step(token).clone() for token in tokens[:, LENGTH // 2 :].T]
    return _agree(exact[:, LENGTH // 2 :], torch.stack(got, 1), torch.float32)


def _agree(expected: Tensor, got: Tensor, dtype: torch.dtype) -> float:
    error = largest_error(expected, got)
    assert error < TOLERANCE[dtype], f"{error:.1e} of the largest apart"
    return error


def first_line(error: Exception) -> str:
    """Of what it says, its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
