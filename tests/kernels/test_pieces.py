"""A sequence in pieces over processes gives and learns what it does whole."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pieces_ops
import pytest
import torch
from kernels_cases import conv_case, scan_case
from pieces_ops import alone, op_in_pieces
from pieces_processes import Ends, on

from dnamamba_kernels import pieces as room
from dnamamba_kernels.pieces import Pieces, cut

CASES = ("scan", "convolution", "block", "model", "recomputed", "sent", "refused")
ON_GPUS = (
    *CASES,
    "fused block",
    "fused bidirectional block",
    *(
        f"fused {kind} of {size}"
        for kind in ("block", "bidirectional block")
        for size in (301, 64, 130)
    ),
    "fused bidirectional block of 70 channels",
)
PAIRS = 8  # that run side by side: a start takes long, and kernels are compiled


@pytest.fixture(scope="module")
def on_four(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    return on(tmp_path_factory.mktemp("four"), 4, "cpu")


@pytest.mark.parametrize("pieces", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_in_pieces_as_whole(case: str, pieces: int, on_four: Ends) -> None:
    ends = [end[f"{case}-{pieces}"] for end in on_four]
    assert not any(ends), "\n".join(ends)


def test_a_group_of_others_is_refused(on_four: Ends) -> None:
    assert [end["foreign"] for end in on_four] == [""] * 4


def test_on_numba() -> None:
    pytest.importorskip("numba")
    with alone("cpu") as shared:
        for row in (3, 8):
            op_in_pieces(scan_case(2, 40, 5, 3, row), room.selective_scan, shared, "numba")
            op_in_pieces(conv_case(2, 40, 5, 4, row), room.causal_conv1d, shared, "numba")


@pytest.fixture(scope="module")
def on_gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Future[Ends]]]:
    """Of each pair of processes how every ``PAIRS``-th case ended."""
    with ThreadPoolExecutor(PAIRS) as side_by_side:
        yield [
            side_by_side.submit(on, tmp_path_factory.mktemp("two"), 2, "cuda", ON_GPUS[k::PAIRS])
            for k in range(PAIRS)
        ]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("case", ON_GPUS)
def test_on_two_gpus(case: str, on_gpus: list[Future[Ends]]) -> None:
    ends = [end[f"{case}-2"] for end in on_gpus[ON_GPUS.index(case) % PAIRS].result()]
    assert ends == ["", ""], "\n".join(ends)


def test_on_gpus_no_case_is_left_out() -> None:
    pytest.importorskip("triton")
    import pieces_fused  # noqa: F401  (adds its cases, as the next does)
    import pieces_models  # noqa: F401

    assert set(ON_GPUS) == {*pieces_ops.CASES, *pieces_ops.FUSED, *pieces_ops.LARGER}
    assert len(ON_GPUS) == len(set(ON_GPUS))


def test_pieces_are_even() -> None:
    assert cut(10, 4) == [slice(0, 3), slice(3, 6), slice(6, 8), slice(8, 10)]
    assert cut(4, 4) == [slice(k, k + 1) for k in range(4)]
    with pytest.raises(ValueError, match="3 positions cannot be cut into 4 pieces"):
        cut(3, 4)


def test_without_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="init_process_group first"):
        Pieces.agree(1, 8)
