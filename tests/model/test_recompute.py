"""Computing activations again changes what is kept, and nothing else."""

import pytest
import torch
from torch import Tensor

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba_kernels.selective_scan import chunked

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
    sweep = chunked.sweep

    def counting(*arguments: object) -> object:
        nonlocal count
        count += 1
        return sweep(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(chunked, "sweep", counting)
    gradients(recompute)
    assert count == scans * CONFIG.n_layers


def test_less_is_kept() -> None:
    """Bytes that autograd holds of blocks' insides, by the hooks through which it packs them."""

    def held(recompute: str) -> int:
        model = LanguageModel(CONFIG)
        model.backbone.recompute = recompute  # type: ignore[assignment]
        storages: dict[int, int] = {}

        def pack(x: Tensor) -> Tensor:
            storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            model(torch.randint(4, 9, (1, 200)))
        return sum(storages.values())

    assert held("everything") < 0.6 * held("nothing")


@pytest.mark.parametrize("recompute", ["cheap", "everything"])
def test_compiled(recompute: str) -> None:
    loss, expected = gradients("nothing")
    again, found = gradients(recompute, compiled=True)
    torch.testing.assert_close(again, loss)
    torch.testing.assert_close(found, expected)


def test_unknown_choice() -> None:
    with pytest.raises(ValueError, match="recompute must be one of nothing, cheap, everything"):
        gradients("some")
