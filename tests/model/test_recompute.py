"""Computing activations again changes what is kept, and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba_kernels import backend
from dnamamba_kernels.selective_scan.chunked import launch

CONFIG = MambaConfig(d_model=8, n_layers=3, d_state=4)


def gradients(recompute: str, compiled: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = LanguageModel(CONFIG)
    model.backbone.recompute = recompute  # type: ignore[assignment]
    if compiled:
        model.compile(backend="aot_eager")
    tokens = torch.randint(4, 9, (2, 30))
    resets = torch.zeros(2, 30, dtype=torch.bool)
    resets[0, 11] = True
    logits, state = model(tokens, model.backbone.initial_state(2), resets)
    loss = logits.square().sum() + state.ssm.sum() + state.conv.sum()
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}  # type: ignore[misc]


@pytest.mark.parametrize("recompute", ["cheap", "everything"])
def test_the_same_loss_gradients_and_names(recompute: str) -> None:
    loss, expected = gradients("nothing")
    again, found = gradients(recompute)
    assert torch.equal(loss, again)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("recompute", "scans"), [("nothing", 1), ("cheap", 1), ("everything", 2)])
def test_how_often_a_block_scans(
    recompute: str, scans: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    sweep = launch.sweep

    def counting(*arguments: object) -> object:
        nonlocal count
        count += 1
        return sweep(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(launch, "sweep", counting)
    with backend.use("torch"):
        gradients(recompute)
    assert count == scans * CONFIG.n_layers


LENGTH = 200


def held(recompute: str, n_layers: int = CONFIG.n_layers) -> int:
    """Bytes that autograd holds of activations, by the hooks through which it packs them."""
    model = LanguageModel(replace(CONFIG, n_layers=n_layers))
    model.backbone.recompute = recompute  # type: ignore[assignment]
    storages: dict[int, Tensor] = {}

    def pack(x: Tensor) -> Tensor:
        if LENGTH in x.shape:
            storages[x.untyped_storage().data_ptr()] = x
        return x

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x),
        torch.autocast("cpu", torch.bfloat16),
    ):
        output = model(torch.randint(4, 9, (1, LENGTH)))
    del output
    return sum(x.untyped_storage().nbytes() for x in storages.values())


def test_less_is_kept() -> None:
    assert held("everything") < 0.6 * held("nothing")


def test_all_that_a_block_keeps_is_the_stream_in_fp32() -> None:
    per_block = held("everything", n_layers=5) - held("everything", n_layers=4)
    assert per_block == LENGTH * CONFIG.d_model * 4


@pytest.mark.parametrize("recompute", ["cheap", "everything"])
def test_compiled(recompute: str) -> None:
    loss, expected = gradients("nothing")
    again, found = gradients(recompute, compiled=True)
    torch.testing.assert_close(again, loss)
    torch.testing.assert_close(found, expected)


def test_unknown_choice() -> None:
    with pytest.raises(ValueError, match="recompute must be one of nothing, cheap, everything"):
        gradients("some")
