"""Tokens a second of either model, decoding and training, in bare loops."""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from model_gpu import RandomBatches, seconds_of, synchronize
from torch import Tensor, nn
from torch.nn.attention import sdpa_kernel
from transformer import Transformer, TransformerConfig, causal_attention
from transformer_checks import BACKENDS, first_line, largest_error
from transformer_decoding import Cache, CachedDecoder, new_cache

from dnamamba.inference.decoding import Decoder
from dnamamba.model import LanguageModel
from dnamamba.model.state import State
from dnamamba.training.optim import OptimizerConfig, make_optimizer
from dnamamba.training.sequence_metrics import token_losses

__all__ = [
    "ahead_from",
    "context_state",
    "decode_mamba",
    "decode_transformers",
    "fastest_backend",
    "training_rate",
]

START = 4  # any base


def decoding_rate(decoder: Decoder | CachedDecoder, rows: int, steps: int, device: str) -> float:
    """Tokens a second of steps one after the other."""
    start = torch.full((rows,), START, device=device)

    def draw() -> None:
        if isinstance(decoder, CachedDecoder):
            decoder.rewind()
        token = start
        for _ in range(steps):
            token = decoder.step(token).argmax(1)

    return rows * steps / seconds_of(draw, 3)


@torch.inference_mode()
def context_state(model: LanguageModel, length: int, device: str) -> State:
    """After so many random bases, of one row."""
    with torch.autocast(device, torch.bfloat16):
        _, state = model(RandomBatches(1, length, device).batch["tokens"])
    assert state is not None
    return state


@torch.inference_mode()
def decode_mamba(model: LanguageModel, state: State, rows: int, steps: int, device: str) -> float:
    return decoding_rate(Decoder(model, state.repeat(rows)), rows, steps, device)


@torch.no_grad()
def decode_transformers(
    models: dict[str, Transformer],
    ways: Iterable[str],
    context: int,
    rows: int,
    steps: int,
    device: str,
) -> dict[str, Any]:
    """Tokens a second of each model with the fastest way of attention, and of every way.

    Args:
        models: ``plain`` and others of its weights and sizes, in bf16.
        ways: of ``ATTENTIONS``.
        context: positions of the cache that are filled.
        rows: of the batch.
        steps: after the context.
        device: where the models are.
    """
    plain = models["plain"]
    positions = 16 * math.ceil((context + steps) / 16)
    cache = new_cache(plain.config, rows, positions, device, torch.bfloat16)
    rates = _rates_of_ways(plain, cache, ways, context, min(8, steps))
    best = max(rates, key=lambda way: rates[way])
    result: dict[str, Any] = {"attention": best, "attentions_tokens_per_s": rates}
    for name, model in models.items():
        try:
            decoder = CachedDecoder(model, cache, context, steps, best)
            result[name] = decoding_rate(decoder, rows, steps, device)
        except Exception as error:  # a compiler's: all sorts
            if name == "plain":
                raise
            print(f"the {name} Transformer does not decode: {first_line(error)}")
    return result


def _rates_of_ways(
    model: Transformer, cache: Cache, ways: Iterable[str], context: int, steps: int
) -> dict[str, float]:
    """Tokens a second of each way that runs; the first logits of all must agree."""
    rows, device = cache[0][0].shape[0], cache[0][0].device.type
    start = torch.full((rows,), START, device=device)
    logits: list[Tensor] = []
    rates = {}
    for way in ways:
        try:
            decoder = CachedDecoder(model, cache, context, steps, way)
            logits.append(decoder.step(start).clone())
            rates[way] = decoding_rate(decoder, rows, steps, device)
        except RuntimeError as error:
            print(f"{way} attention does not run after {context}: {first_line(error)}")
            continue
        apart = largest_error(logits[0], logits[-1])
        assert apart < 5e-2, f"{way} attention is {apart:.1e} from another after {context}"
    return rates


def fastest_backend(
    config: TransformerConfig, names: list[str], rows: int, length: int, device: str
) -> str:
    """Which of attention's kernels is the fastest there, forward and backward."""
    shape = rows, length, config.heads, config.d_model // config.heads
    tensors = [torch.randn(shape, device=device, dtype=torch.bfloat16) for _ in range(4)]
    q, k, v, upstream = (x.transpose(1, 2) for x in tensors)
    inputs = [x.requires_grad_() for x in (q, k, v)]

    def seconds(name: str) -> float:
        def both() -> None:
            with sdpa_kernel(BACKENDS[device][name]):
                torch.autograd.grad(causal_attention(*inputs), inputs, upstream)

        try:
            return seconds_of(both, 2)
        except RuntimeError as error:
            print(f"{name} attention does not train at {length}: {first_line(error)}")
            return math.inf

    return min(names, key=seconds)


def training_rate(
    model: nn.Module, logits: Callable[[Tensor], Tensor], rows: int, length: int, device: str
) -> float:
    """Tokens a second of steps for about a second, 3 to 12, after two of warm-up.

    Args:
        model: is trained.
        logits: (B, L, V) of tokens (B, L), by the model.
        rows: B.
        length: L.
        device: where the model is.
    """
    optimizer = make_optimizer(model, OptimizerConfig())
    tokens = RandomBatches(rows, length, device).batch["tokens"]
    targets = tokens.roll(-1, 1)

    def run(steps: int) -> float:
        synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            with torch.autocast(device, torch.bfloat16):
                loss = token_losses(logits(tokens), targets).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        synchronize()
        return time.perf_counter() - start

    run(1)
    steps = min(12, max(3, round(1 / run(1))))
    return steps * tokens.numel() / run(steps)


def ahead_from(table: list[dict[str, Any]], name: str) -> float | None:
    """The length from which the Mamba stays ahead, between two rows on a logarithmic scale.

    The first length where it is ahead at all of them, None where it is behind at the last.
    """
    lead = [math.log(row["mamba"] / row[name]) for row in table]
    lengths = [row["length"] for row in table]
    behind = [i for i, x in enumerate(lead) if x < 0]
    if not behind:
        return lengths[0]
    last = behind[-1]
    if last == len(lead) - 1:
        return None
    share = lead[last] / (lead[last] - lead[last + 1])
    return lengths[last] * (lengths[last + 1] / lengths[last]) ** share
