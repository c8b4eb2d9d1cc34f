"""Models over pieces of a sequence: as over the whole of it; what is sent, what is refused."""

import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.distributed as dist
from kernels_cases import assert_close, scan_case
from pieces_ops import Shared, added, case, close
from torch import Tensor
from torch.nn import functional as F

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.model.language_model import LanguageModel
from dnamamba.model.pooling import POOLINGS
from dnamamba.model.strand import reverse_complement
from dnamamba_kernels import pieces
from dnamamba_kernels.pieces import Pieces, cut, over

TABLE = torch.tensor(list(Tokenizer().complement_table), dtype=torch.uint8)


def language_model(family: str, dtype: torch.dtype, shared: Shared) -> LanguageModel:
    torch.manual_seed(0)
    kind = {"mamba": MambaConfig, "bimamba": BiMambaConfig, "both": SymmetricBiMambaConfig}[family]
    model = LanguageModel(kind(d_model=8, n_layers=2, d_state=3)).to(shared.device, dtype)
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
    return model


def batch(rows: int, length: int, shared: Shared) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, marks and weights of the loss, of the whole sequence."""
    random = torch.Generator().manual_seed(length)
    tokens = torch.randint(4, 8, (rows, length), generator=random)
    resets = torch.rand(rows, length, generator=random) < 0.05
    weights = torch.rand(rows, length, generator=random).double()
    return tokens.to(shared.device), resets.to(shared.device), weights.to(shared.device)


def trained(
    model: LanguageModel, tokens: Tensor, weights: Tensor, steps: int, share: Any, **options: Any
) -> tuple[list[Tensor], Any]:
    """Logits of ``steps`` batches, one after the other with the state; gradients in the model.

    ``share`` adds up the loss over those who share a sequence.
    """
    logits, state = [], None
    for _ in range(steps):
        out, state = model(tokens, state, **options)
        losses = F.cross_entropy(out.flatten(0, 1), tokens.flatten(), reduction="none")
        loss = (losses * weights.flatten()).sum()
        loss.backward()
        logits += [out.detach(), share(loss.detach())]
        state = None if state is None else state.detach()
    return logits, state


def model_in_pieces(family: str, dtype: torch.dtype, shared: Shared) -> None:
    model, (tokens, resets, weights) = language_model(family, dtype, shared), batch(3, 29, shared)
    weights = weights.to(dtype)
    options: dict[str, Any] = {"resets": resets}
    if family != "mamba":
        options["lengths"] = torch.tensor([29, 16, 2], device=shared.device)
        weights *= torch.arange(29, device=shared.device) < options["lengths"][:, None]
    steps = 2 if family == "mamba" else 1
    expected, after = trained(model, tokens, weights, steps, lambda loss: loss, **options)
    named = dict(model.named_parameters())
    gradients = {name: p.grad.clone() for name, p in named.items() if p.grad is not None}
    assert gradients.keys() == named.keys()
    model.zero_grad()

    rank = dist.get_rank(shared.group)
    part = cut(29, dist.get_world_size(shared.group))[rank]
    options["resets"] = resets[:, part]
    if "lengths" in options:
        options["lengths"] = (options["lengths"] - part.start).clamp(0, part.stop - part.start)
    real = weights[:, part, None] > 0
    with over(Pieces.agree(3, part.stop - part.start, shared.group)):
        ours, state = trained(
            model, tokens[:, part], weights[:, part], steps, lambda x: added(x, shared), **options
        )
    actual = {name: added(p.grad, shared) for name, p in named.items() if p.grad is not None}
    wanted = dict(gradients)
    for k in range(0, len(ours), 2):
        actual |= {f"logits {k}": ours[k] * real, f"loss {k}": ours[k + 1]}
        wanted |= {f"logits {k}": expected[k][:, part] * real, f"loss {k}": expected[k + 1]}
    if state is not None and rank == 0:
        actual |= {"conv": state.conv, "ssm": state.ssm}
        wanted |= {"conv": after.conv, "ssm": after.ssm}
    close(actual, wanted, dtype)


def classifier_in_pieces(family: str, pooling: str, shared: Shared) -> None:
    """What every process makes of all pieces together is what one makes of the sequence."""
    config = language_model(family, torch.float64, shared).config
    head = HeadConfig(kind="multiclass", labels=("0", "1"), pooling=pooling)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = Classifier(config, head).to(shared.device, torch.float64)
    tokens, lengths = batch(3, 29, shared)[0], torch.tensor([29, 16, 2], device=shared.device)
    opposite = reverse_complement(tokens, lengths, TABLE.to(tokens))
    outputs = model.both_strands(tokens, lengths, TABLE.to(tokens))
    outputs.square().sum().backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    count = dist.get_world_size(shared.group)
    part = cut(29, count)[dist.get_rank(shared.group)]
    size = part.stop - part.start
    own = (lengths - part.start).clamp(0, size)
    with over(Pieces.agree(3, size, shared.group)):
        ours = model.both_strands(tokens[:, part], own, TABLE.to(tokens), opposite[:, part])
        ours.square().sum().backward()
    # Each loss is the whole one: gradients are as if there were ``count`` of them.
    actual = {n: added(p.grad, shared) / count for n, p in model.named_parameters() if n in wanted}
    close(
        {"outputs": ours.detach(), **actual}, {"outputs": outputs.detach(), **wanted}, torch.float32
    )


@case("model")
def _(shared: Shared) -> None:
    for family, pooling in zip(("mamba", "bimamba", "both", "mamba"), POOLINGS, strict=True):
        classifier_in_pieces(family, pooling, shared)
    for family in ("mamba", "bimamba", "both"):
        model_in_pieces(family, torch.float64, shared)
        model_in_pieces(family, torch.float32, shared)


@case("recomputed")
def _(shared: Shared) -> None:
    """A backward after ``over`` has ended computes its blocks again over the same pieces."""
    for family in ("mamba", "bimamba", "both"):
        model, (tokens, resets, weights) = (
            language_model(family, torch.float64, shared),
            batch(2, 20, shared),
        )
        part = cut(20, dist.get_world_size(shared.group))[dist.get_rank(shared.group)]
        gradients = []
        for recompute in ("nothing", "cheap", "everything"):
            model.backbone.recompute = recompute  # type: ignore[assignment]
            with over(Pieces.agree(2, part.stop - part.start, shared.group)):
                out, _ = model(tokens[:, part], resets=resets[:, part])
            (out.sum(-1) * weights[:, part]).square().sum().backward()
            gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})  # type: ignore[union-attr]
            model.zero_grad()
        assert_close(gradients[1], gradients[0])
        assert_close(gradients[2], gradients[0])


@contextmanager
def counted() -> Any:
    """The numbers that this process sends."""
    sent: list[int] = []
    gather, exchange = dist.all_gather, dist.all_to_all_single

    def gathers(out: Any, x: Tensor, **options: Any) -> Any:
        sent.append(x.numel())
        return gather(out, x, **options)

    def exchanges(out: Tensor, x: Tensor, received: Any, given: Any, **options: Any) -> Any:
        assert sum(given) == x.numel()
        sent.append(x.numel())
        return exchange(out, x, received, given, **options)

    others = {
        name: getattr(dist, name)
        for name in ("all_reduce", "broadcast", "send", "recv", "isend", "reduce_scatter", "gather")
    }
    try:
        for name in others:
            setattr(dist, name, None)
        dist.all_gather, dist.all_to_all_single = gathers, exchanges  # type: ignore[assignment]
        yield sent
    finally:
        dist.all_gather, dist.all_to_all_single = gather, exchange
        for name, function in others.items():
            setattr(dist, name, function)


@case("sent")
def _(shared: Shared) -> None:
    for family, directions in (("mamba", 1), ("bimamba", 2)):
        model, rows = language_model(family, torch.float32, shared), 3
        D, N, W = (getattr(model.config, name) for name in ("d_inner", "d_state", "d_conv"))
        each = 2 * 2 * directions * rows * (2 * D * N + (W - 1) * D) // 2  # two layers, a pass
        for length in (24, 240):  # whatever the length
            part = cut(length, dist.get_world_size(shared.group))[dist.get_rank(shared.group)]
            tokens = batch(rows, length, shared)[0][:, part]
            agreed = Pieces.agree(rows, part.stop - part.start, shared.group)
            with counted() as sent, over(agreed):
                loss = model(tokens)[0].sum()
                assert sum(sent) == each
                loss.backward()
                assert sum(sent) == 2 * each


def refused(message: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(*args, **kwargs)


@case("refused")
def _(shared: Shared) -> None:
    rank, count = dist.get_rank(shared.group), dist.get_world_size(shared.group)
    refused("as many rows", Pieces.agree, 1 + rank, 4, shared.group)
    refused("at least one position", Pieces.agree, 2, min(rank, 1), shared.group)
    causal = language_model("mamba", torch.float32, shared)
    tokens = batch(2, 4, shared)[0]
    whole = type("Whole", (type(causal.backbone),), {"reads_pieces": False})(causal.config)
    with over(Pieces.agree(2, 4, shared.group)):
        refused("Whole reads a sequence whole", whole, tokens)
        refused(f"B, L = (2, 4) for process {rank} of {count}, got (2, 3)", causal, tokens[:, 1:])
        refused(
            "leave them out", causal, tokens, lengths=torch.tensor([4, 2], device=shared.device)
        )
        state = causal.backbone.initial_state(2)  # type: ignore[operator]
        refused("no pieces", causal.step, tokens[:, 0], state)
        scan = scan_case(2, 4, 3, 2)
        refused(
            "reads a sequence whole",
            pieces.selective_scan,
            **scan.to(shared.device).tensors,
            backend="reference",
        )
    with over(Pieces.agree(2, 2 if rank else 4, shared.group)):
        refused("W - 1 = 3 positions", causal, tokens if rank == 0 else tokens[:, 2:])
    assert pieces.current() is None
