"""A whole model on the fused kernels is the model on PyTorch's."""

from functools import cache

import pytest
import torch
from torch import Tensor

from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model import BiMamba, LanguageModel, Mamba
from dnamamba.model.block import Block
from dnamamba_kernels.backend import use

from .fused_cases import DEVICE, INTERPRETED, assert_same

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)


@cache
def results(
    backend: str, recompute: str, autocast: bool, padded: bool, compiled: bool = False
) -> list[Tensor]:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=8, n_layers=2, d_state=4)).to(DEVICE)
    model.backbone.recompute = recompute  # type: ignore[assignment]
    if compiled:
        model.compile(backend="aot_eager")
    tokens = torch.randint(4, 9, (2, 14), device=DEVICE)
    lengths = torch.tensor([14, 6], device=DEVICE) if padded else None
    resets = torch.zeros(2, 14, dtype=torch.bool, device=DEVICE)
    resets[0, 5] = True
    with use(backend), torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
        logits, state = model(tokens, model.backbone.initial_state(2), resets, lengths)
        loss = (
            logits[0].float().square().sum() + state.ssm.sum() + state.conv.float().square().sum()
        )
        loss.backward()
    return [logits[0].detach(), state.ssm.detach(), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("recompute", ["nothing", "cheap", "everything"])
@pytest.mark.parametrize(("autocast", "tolerance"), [(False, 1e-5), (True, 4e-2)])
@pytest.mark.parametrize("padded", [False, True])
def test_states_and_gradients(
    recompute: str, autocast: bool, tolerance: float, padded: bool
) -> None:
    got = results("triton", recompute, autocast, padded)
    assert_same(got, results("torch", "nothing", autocast, padded), tolerance)


@cache
def both_ways(
    backend: str, symmetric: bool, recompute: str, padded: bool, autocast: bool = False
) -> list[Tensor]:
    torch.manual_seed(0)
    kind = SymmetricBiMambaConfig if symmetric else BiMambaConfig
    model = LanguageModel(kind(d_model=10, n_layers=2, d_state=4)).to(DEVICE)
    model.backbone.recompute = recompute  # type: ignore[assignment]
    tokens = torch.randint(4, 9, (2, 9), device=DEVICE)
    lengths = torch.tensor([9, 6], device=DEVICE) if padded else None
    resets = torch.zeros(2, 9, dtype=torch.bool, device=DEVICE)
    resets[0, 5] = resets[1, 3] = True
    with use(backend), torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
        logits, _ = model(tokens, resets=resets, lengths=lengths)
        real = logits.flatten(0, 1)[: 15 if padded else None]
        real.float().square().sum().backward()
    return [real.detach(), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize(
    ("symmetric", "recompute", "padded"),
    [(False, "nothing", True), (False, "everything", False), (True, "nothing", True)],
)
def test_gradients_of_models_that_read_both_ways(
    symmetric: bool, recompute: str, padded: bool
) -> None:
    got = both_ways("triton", symmetric, recompute, padded)
    assert_same(got, both_ways("torch", symmetric, "nothing", padded), 1e-5)


def test_a_model_that_reads_both_ways_in_half_precision() -> None:
    got = both_ways("triton", False, "nothing", True, autocast=True)
    assert_same(got, both_ways("torch", False, "nothing", True, autocast=True), 4e-2)


@pytest.mark.parametrize("recompute", ["nothing", "everything"])
def test_compiled(recompute: str) -> None:
    got = results("triton", recompute, False, False, compiled=True)
    assert_same(got, results("triton", "nothing", False, False), 1e-5)


def block(kind: type[Mamba | BiMamba] = Mamba) -> Block:
    (layer,) = kind(kind.config_type(d_model=8, n_layers=1, d_state=4)).layers  # type: ignore[call-arg]
    assert isinstance(layer, Block)
    return layer.to(DEVICE)


def fuses(layer: Block, x: Tensor) -> bool:
    return layer.mixer.fuses(layer.norm, x, None)


class _Doubled(torch.nn.Module):
    """An adapter as small as can be."""

    def __init__(self, base: torch.nn.Module) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.base(x)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Mamba, name) for name in ("in_proj", "x_proj", "dt_proj", "out_proj", "conv1d")]
    + [(BiMamba, name) for name in ("in_proj", "mamba_rev.x_proj", "mamba_fwd.dt_proj", "out_proj")]
    + [(BiMamba, "mamba_fwd.conv1d")],
)
def test_what_wraps_a_projection_keeps_it_out_of_the_one_op(
    kind: type[Mamba | BiMamba], name: str
) -> None:
    """A wrapped module must be called: the op would read its weight and pass it by."""
    x = torch.randn(1, 9, 8, device=DEVICE)

    def build() -> Block:
        torch.manual_seed(0)
        return block(kind)

    def owner(of: Block) -> torch.nn.Module:
        return of.mixer.get_submodule(name.rpartition(".")[0])

    part = name.rpartition(".")[2]
    with use("triton"):
        assert fuses(build(), x)
        if part != "conv1d":  # whose weights alone are read, wherever it runs
            wrapped, called = build(), build()
            setattr(owner(wrapped), part, _Doubled(getattr(owner(wrapped), part)))
            called.mixer.get_submodule(name).register_forward_hook(lambda module, inputs, y: 2 * y)
            outputs = [each(x, None)[0] for each in (build(), wrapped, called)]
            assert (outputs[1] - outputs[0]).norm() > 1e-4 * outputs[0].norm()
            assert_same(outputs[2:], outputs[1:2], 1e-5)
        watched = build()
        watched.mixer.get_submodule(name).register_full_backward_hook(
            lambda module, before, after: None
        )
        assert not fuses(watched, x)


@pytest.mark.parametrize("name", ["norm", "mixer"])
def test_a_hook_on_a_part_of_a_block_is_called(name: str) -> None:
    watched = block()
    calls: list[str] = []
    getattr(watched, name).register_forward_hook(lambda *_: calls.append(name))
    with use("triton"):
        watched(torch.randn(1, 9, 8, device=DEVICE), None)
    assert calls == [name]
