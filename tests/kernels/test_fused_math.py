"""The functions of one number against PyTorch's in fp64."""

import pytest
import torch

from .fused_cases import DEVICE, INTERPRETED

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)


def test_a_power_of_two_without_the_special_function_unit() -> None:
    triton = pytest.importorskip("triton", reason="Triton is not installed")
    from .fused_math_kernel import power_kernel

    ends = torch.tensor([-torch.inf, -1e4, -126.0, -0.0, 0.0, 127.9999, 128.0, 1e4, torch.inf])
    nan = torch.tensor([torch.nan])
    x = torch.cat([torch.linspace(-126, 127.9, 2**15), ends, nan]).to(DEVICE)
    found = torch.full_like(x, torch.nan)
    power_kernel[(triton.cdiv(len(x), 1024),)](x, found, len(x), BLOCK=1024)
    within = (x > -126) & (x < 128)
    expected = torch.exp2(x[within].double())
    assert ((found[within].double() / expected - 1).abs() < 2e-7).all()
    assert (found[x <= -126] == 2.0**-126).all()
    assert (found[x >= 128] == torch.inf).all()
    assert (found[x == 0] == 1).all()
    assert not found[-1].isfinite()
