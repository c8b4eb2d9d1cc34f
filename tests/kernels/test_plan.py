"""How a scan's backward is cut: all of it, once, in pieces that fit."""

from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from dnamamba_kernels.selective_scan.fused import plan as fused_plan
from dnamamba_kernels.selective_scan.fused.plan import STEPS, WORKSPACE, plan, segments

sizes = st.tuples(
    st.integers(1, 300),
    st.one_of(st.integers(1, 3000), st.integers(1, 2**24)),
    st.one_of(st.integers(1, 600), st.integers(1, 8192)),
    st.integers(1, 256),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(sizes)
def test_every_chunk_of_every_row_is_in_one_piece(shape: tuple[int, int, int, int]) -> None:
    batch, length, channels, _ = shape
    p = plan(*shape)
    assert p.span % p.chunk == 0
    assert p.n_chunks * p.chunk >= length > (p.n_chunks - 1) * p.chunk
    position = 4 * p.states * (channels / STEPS + 2 * ceil(channels / p.back_block))
    row = 0
    for rows, pieces in segments(p, batch, channels):
        assert rows.start == row
        row, end = rows.stop, p.n_chunks
        for first, count in pieces:  # from right to left
            assert first + count == end
            end = first
            chunks = (rows.stop - rows.start) * count
            assert chunks == 1 or chunks * p.chunk * position <= WORKSPACE
        assert end == 0
    assert row == batch


def test_pieces_are_whole_waves_of_both_kernels() -> None:
    p = plan(1, 2**20, 512, 16)
    rows, count = fused_plan._piece(p, 1, 512, WORKSPACE)
    assert (rows, count) == (1, 198)  # 792 programs, 396 at a time, and 3168, 1056 at a time


def test_one_sweep_where_channels_fill_the_card() -> None:
    assert plan(64, 1024, 512, 16).n_spans == 1
    assert plan(8, 2048, 1536, 16).n_spans > 1
    assert plan(256, 1024, 512, 16).n_spans == 1
    assert plan(1, 2**20, 512, 16).n_spans == 2048
