"""A whole model on the fused kernels is the model on PyTorch's."""

import pytest
import torch
from torch import Tensor

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba_kernels.backend import use

from .fused_cases import DEVICE, INTERPRETED, assert_same

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)


def results(backend: str, recompute: str, autocast: bool, padded: bool) -> list[Tensor]:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=8, n_layers=2, d_state=4)).to(DEVICE)
    model.backbone.recompute = recompute  # type: ignore[assignment]
    tokens = torch.randint(4, 9, (2, 20), device=DEVICE)
    lengths = torch.tensor([20, 13], device=DEVICE) if padded else None
    resets = torch.zeros(2, 20, dtype=torch.bool, device=DEVICE)
    resets[0, 7] = True
    with use(backend), torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
        logits, state = model(tokens, model.backbone.initial_state(2), resets, lengths)
        loss = (
            logits[0].float().square().sum() + state.ssm.sum() + state.conv.float().square().sum()
        )
        loss.backward()
    return [logits[0].detach(), state.ssm.detach(), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("recompute", ["nothing", "cheap", "everything"])
@pytest.mark.parametrize(("autocast", "tolerance"), [(False, 1e-5), (True, 4e-2)])
@pytest.mark.parametrize("padded", [False, True])  # only without padding is a mixer one op
def test_states_and_gradients(
    recompute: str, autocast: bool, tolerance: float, padded: bool
) -> None:
    got = results("triton", recompute, autocast, padded)
    assert_same(got, results("torch", "nothing", autocast, padded), tolerance)
