"""The fused scan's part in a sequence in pieces: summaries of its parts, and each op over one."""

from pathlib import Path

import pytest
import torch
from kernels_cases import assert_close, block_case, conv_case, relative_error, scan_case
from layer_cases import bidirectional_case
from pieces_ops import alone, op_in_pieces
from pieces_processes import on
from torch import Tensor

from dnamamba_kernels import pieces, selective_scan
from dnamamba_kernels.selective_scan.fused import ahead, carry, plan
from dnamamba_kernels.selective_scan.op import implementation
from dnamamba_kernels.selective_scan.scan import Scan
from dnamamba_kernels.selective_scan.summary import initial_gradient, summary

from .fused_cases import DEVICE, INTERPRETED

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)


@pytest.mark.skipif(not INTERPRETED, reason="on GPUs test_pieces.py runs them")
def test_blocks_in_pieces_as_whole(tmp_path: Path) -> None:
    ends = on(tmp_path, 4, "interpreted")
    assert {name for end in ends for name in end} == {
        "fused block-2", "fused block-4", "fused bidirectional block-2",
        "fused bidirectional block-4", "foreign",
    }  # fmt: skip
    for end in ends:
        assert not any(end.values()), "\n".join(end.values())


@pytest.mark.parametrize(("row", "dtype"), [(3, torch.float32), (8, torch.bfloat16)])
def test_summaries_join_to_the_whole(
    row: int, dtype: torch.dtype, many_cuts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States from the start to the end, gradients of states from the end to the start."""
    monkeypatch.setattr(carry, "LINKS", 2)  # groups of parts, the last not full
    case = scan_case(2, 53, 9, 4, row, dtype).to(DEVICE)
    tensors = {**case.tensors, **case.options}
    whole, marks = Scan(**tensors), tensors["resets"]
    parts = [slice(0, 17), slice(17, 18), slice(18, 53)]
    scans = [
        Scan(**{
            name: value if name not in ("u", "delta", "B", "C", "z", "resets") or value is None
            else value[:, part]
            for name, value in tensors.items()
        })._replace(initial_state=None)
        for part in (parts[::-1] if whole.reverse else parts)
    ]  # fmt: skip
    initial = tensors["initial_state"]
    state: Tensor = torch.zeros(2, 9, 4, device=DEVICE) if initial is None else initial
    entering, sums = [], [summary(scan, "triton") for scan in scans]
    for each in sums:
        entering.append(state)
        state = each.product * state + each.local
    _, expected = selective_scan(**tensors, backend="torch")
    assert relative_error(state, expected) < 1e-5

    dy = torch.randn(whole.u.shape, generator=torch.Generator().manual_seed(0)).to(whole.u)
    dys = [dy[:, part] for part in (parts[::-1] if whole.reverse else parts)]
    adjoint = torch.zeros_like(state)
    fused = implementation("triton")
    for scan, each, before, share in zip(
        scans[::-1], sums[::-1], entering[::-1], dys[::-1], strict=True
    ):
        _, _, states = fused.forward(scan._replace(initial_state=before), True)
        adjoint = initial_gradient(scan, states, share, "triton") + each.product * adjoint
    _, _, states = implementation("torch").forward(whole._replace(initial_state=entering[0]), True)
    *_, expected = implementation("torch").backward(
        whole._replace(initial_state=None), states, dy, None, True
    )
    assert marks is None or bool(marks.any())
    assert_close({"adjoint": adjoint}, {"adjoint": expected}, scale=2)


@pytest.mark.parametrize(("delta", "mark", "spans"), [(8.0, None, 2), (0.1, 20, 4), (0.1, None, 8)])
@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_is_read_that_no_state_reaches(
    reverse: bool, delta: float, mark: int | None, spans: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MIN_CHUNK", 8)
    monkeypatch.setattr(carry, "LINKS", 2)  # groups of two spans of 8, the last not full
    random = torch.Generator().manual_seed(0)
    u, B, C, dy = (torch.randn(1, 53, n, generator=random).to(DEVICE) for n in (9, 4, 4, 9))
    A = -torch.arange(1.0, 5.0, device=DEVICE).expand(9, 4).contiguous()
    resets = None
    if mark is not None:
        resets = torch.zeros(1, 53, dtype=torch.bool, device=DEVICE)
        resets[:, 53 - mark if reverse else mark] = True
    steps = torch.full_like(u, delta)
    scan = Scan(u, steps, A, B, C, None, None, None, None, resets, True, reverse)
    reach = ahead.begin(scan).reach()
    assert reach.unique().tolist() == [spans]
    behind = slice(0, max(0, 53 - 8 * spans)) if reverse else slice(8 * spans, 53)
    dy[:, behind] = 0.0
    torch_scan = implementation("torch")
    *_, states = torch_scan.forward(scan, True)
    *_, expected = torch_scan.backward(scan, states, dy, None, True)
    dy[:, behind] = torch.nan
    actual = ahead.initial_gradient(scan, dy, reach)
    assert_close({"gradient": actual}, {"gradient": expected}, scale=2)


def test_ops_over_a_piece() -> None:
    """Of one piece, which is all of the sequence."""
    with alone(DEVICE) as shared:
        op_in_pieces(scan_case(1, 9, 5, 3), pieces.selective_scan, shared, "triton")
        op_in_pieces(conv_case(1, 9, 5, 4), pieces.causal_conv1d, shared, "triton")
        for case in (block_case(1, 7), bidirectional_case(1, 7)):
            op_in_pieces(case, case.op, shared, "triton")
