"""What must hold of any scan and convolution, whatever the numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_cases import ALL_ON, Case, conv_case, relative_error, scan_case
from torch import Tensor

ALONG = {"u", "delta", "B", "C", "z", "x", "resets"}  # (B, L, ...)

examples = settings(deadline=None, max_examples=25, derandomize=True)

lengths = st.integers(1, 40)
rows = st.integers(0, 8)
backends = st.sampled_from(["torch", "reference"])
ops = st.sampled_from(["scan", "conv"])


def build(op: str, L: int, row: int) -> Case:
    dtype = torch.float64
    return scan_case(2, L, 3, 2, row, dtype) if op == "scan" else conv_case(2, L, 3, 4, row, dtype)


def call(case: Case, backend: str, span: slice = slice(None), **changed: object) -> tuple:
    arguments = {
        name: value[:, span] if name in ALONG and isinstance(value, Tensor) else value
        for name, value in (case.tensors | case.options | changed).items()
    }
    return case.op(**arguments, backend=backend)


def assert_same(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert relative_error(actual, expected) < 1e-12


@examples
@given(ops, lengths, rows, backends, st.data())
def test_cutting_and_carrying_the_state_is_not_cutting(
    op: str, L: int, row: int, backend: str, data: st.DataObject
) -> None:
    case = build(op, L, row)
    cut = data.draw(st.integers(0, L))
    whole, state = call(case, backend)
    spans = [span for span in (slice(0, cut), slice(cut, L)) if span.stop > span.start]
    carried, pieces = case.tensors["initial_state"], {}
    for span in spans[::-1] if case.options["reverse"] else spans:
        pieces[span.start], carried = call(case, backend, span, initial_state=carried)
    assert_same(torch.cat([pieces[start] for start in sorted(pieces)], 1), whole)
    assert_same(carried, state)


@examples
@given(ops, lengths, rows, backends)
def test_reverse_is_the_flip_of_the_forward_of_the_flip(
    op: str, L: int, row: int, backend: str
) -> None:
    case = build(op, L, row)
    flipped = {k: t.flip(1) for k, t in case.given.items() if k in ALONG}
    # The first base of each segment becomes the first one scanned: the last, in memory order.
    if (resets := case.options["resets"]) is not None:
        after = torch.cat([resets[:, 1:], torch.zeros_like(resets[:, :1])], 1)
        flipped["resets"] = after.flip(1)
    y, state = call(case, backend, **flipped, reverse=False)
    expected, expected_state = call(case, backend, reverse=True)
    assert_same(y.flip(1), expected)
    if resets is not None:  # a mark at 0: what would leave belongs to another segment
        state = state.masked_fill(resets[:, 0, None, None], 0.0)
    assert_same(state, expected_state)


@examples
@given(ops, lengths, rows, backends)
def test_segments_are_sequences_of_their_own(op: str, L: int, row: int, backend: str) -> None:
    case = build(op, L, row)
    resets = torch.rand(L, generator=torch.Generator().manual_seed(L)) < 0.3
    both = resets.expand(2, -1)
    y, _ = call(case, backend, resets=both)
    starts = sorted({0, *resets.nonzero().flatten().tolist()})
    for start, stop in zip(starts, [*starts[1:], L], strict=True):
        reverse = case.options["reverse"]
        enters = stop == L if reverse else start == 0 and not resets[0]
        initial = case.tensors["initial_state"] if enters else None
        alone, _ = call(case, backend, slice(start, stop), resets=None, initial_state=initial)
        assert_same(alone, y[:, start:stop])


@examples
@given(ops, lengths, rows, backends, st.floats(-3, 3))
def test_is_linear_in_its_input(op: str, L: int, row: int, backend: str, factor: float) -> None:
    case = build(op, L, row)
    name = "u" if op == "scan" else "x"
    fixed: dict[str, Tensor | None] = {"initial_state": None}
    shift = 0.0
    if op == "conv":  # so far to the right silu changes nothing
        shift = 100.0
        fixed["bias"] = torch.full((3,), shift, dtype=torch.float64)
    one = case.given[name]
    two = torch.randn(one.shape, dtype=one.dtype, generator=torch.Generator().manual_seed(row))
    together, *apart = (
        call(case, backend, **fixed, **{name: x}) for x in (one + factor * two, one, two)
    )
    for k, lifted in enumerate((shift, 0.0)):  # y and the final state
        sums = [outputs[k] - lifted for outputs in (together, *apart)]
        assert_same(sums[0], sums[1] + factor * sums[2])


@pytest.mark.parametrize("op", ["scan", "conv"])
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_a_mark_where_the_scan_ends_leaves_nothing_behind(op: str, backend: str) -> None:
    case = build(op, 6, ALL_ON)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[:, 0] = True
    _, state = call(case, backend, resets=resets, reverse=True)
    assert not state.any()
    _, state = call(case, backend, resets=resets, reverse=False)
    assert state.any()
