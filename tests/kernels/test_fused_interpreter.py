"""Without a GPU: the tests of the fused kernels, in processes where Triton interprets them."""

import pytest
import torch

from .interpreted import GROUPS, Interpreted


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels themselves run here")
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("group", GROUPS)
def test_the_kernels_are_right_in_the_interpreter(group: str, interpreted: Interpreted) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    status, output = interpreted.result(group)
    assert status == 0, output[-7000:]
    assert " passed" in output
