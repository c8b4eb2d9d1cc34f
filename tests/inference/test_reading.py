"""How much is read at a time; where windows lie, and that they answer for every base once."""

import numpy as np
import pytest
import torch
from models import opinionated, reading_both_ways

from dnamamba.alphabet import Tokenizer
from dnamamba.inference import reading
from dnamamba.inference.batching import grouped
from dnamamba.inference.embedding import embed
from dnamamba.inference.reading import Bounds, Reading
from dnamamba.inference.settings import OVERLAP

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("most", "overlap"), [(1, 0), (2, 0), (3, 1), (10, 2), (16, 7), (64, 0), (100, 30)]
)
def test_windows_answer_for_each_base_once_and_lie_alike_on_both_strands(
    most: int, overlap: int
) -> None:
    for length in [*range(1, 130), 1001]:
        windows = list(Bounds(most, overlap).windows(length))
        starts = [window.start for window in windows]
        assert starts == [0, *(window.stop for window in windows[:-1])]
        assert windows[-1].stop == length
        for first, last, start, stop in windows:
            assert start < stop
            assert last - first <= most
            assert first == max(0, start - overlap) or (first, last) == (0, length)
            assert last == min(length, stop + overlap) or (first, last) == (0, length)
        turned = [tuple(length - at for at in (w[1], w[0], w[3], w[2])) for w in windows]
        assert turned[::-1] == [tuple(w) for w in windows]
        if length <= most:
            assert len(windows) == 1


def test_as_many_rows_as_their_states_leave_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = opinionated().backbone
    state = sum(x.numel() * x.element_size() for x in backbone.initial_state(1).tensors)
    gpu = torch.device("cuda")
    for free, rows in ((1 << 40, 50), (4 * 7 * state, 7), (0, 1)):
        monkeypatch.setattr(reading, "_free", lambda _, free=free: free)
        assert Reading(batch_size=50).rows(backbone, gpu) == rows
        assert Reading(batch_size=50).rows(backbone, CPU) == 50
        assert Reading(batch_size=50).rows(reading_both_ways().backbone, gpu) == 50


def test_defaults_follow_the_memory() -> None:
    plain = Reading().bounds(reading_both_ways(d_model=256, n_layers=1).backbone, CPU)
    assert plain == Bounds(1 << 18, OVERLAP)
    twice = Reading().bounds(reading_both_ways(True, d_model=256, n_layers=1).backbone, CPU)
    assert twice.most == 1 << 17
    assert Reading(max_bases=100).bounds(opinionated().backbone, CPU) == Bounds(100, 25)


@pytest.mark.gpu
def test_a_large_gpu_reads_a_megabase_whole() -> None:
    model = reading_both_ways(True, d_model=256, n_layers=1)
    memory = torch.cuda.get_device_properties(0).total_memory
    most = Reading().bounds(model.backbone, torch.device("cuda")).most
    assert most >= (1 << 20 if memory > 100 << 30 else 1 << 16)


def test_neighbours_are_grouped_by_number_and_by_bases() -> None:
    sizes = [9, 9, 5, 5, 5, 5, 30, 1, 1]
    assert list(grouped(sizes, int, 3, 20)) == [[9, 9], [5, 5, 5], [5], [30], [1, 1]]
    assert list(grouped(sizes, int, 4)) == [sizes[:4], sizes[4:8], sizes[8:]]
    assert list(grouped([], int, 4)) == []


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_budget_bounds_what_is_read_side_by_side(both_ways: bool) -> None:
    backbone = (reading_both_ways() if both_ways else opinionated()).backbone
    budget = Reading().budget(backbone, CPU)
    assert budget == 4096
    assert Reading(max_bases=90).budget(backbone, CPU) == 90
    for rows in (1, 2, 7, 1024):
        for longest in (1, 2, budget // rows, budget // rows + 1, 3 * budget // rows, 10**6):
            chunk = Reading().chunk(rows, longest, backbone, CPU)
            assert 1 <= chunk <= longest
            assert rows * chunk <= budget * 9 / 8
            # Chunks are alike: none is left over that reads next to nothing.
            assert -longest % chunk < longest / chunk + 1
        assert Reading(chunk_length=3).chunk(rows, 300, backbone, CPU) == 3
        fits = budget // rows
        assert Reading().chunk(rows, fits, backbone, CPU) == fits
    assert Reading().chunk(8, 513, backbone, CPU) == 513
    assert Reading(max_bases=5).chunk(9, 20, backbone, CPU) == 1


@pytest.mark.parametrize(("most", "batch_size"), [(None, 1024), (64, 1024), (64, 3), (5, 1024)])
def test_no_batch_is_larger_than_the_budget(most: int | None, batch_size: int) -> None:
    model, tokenizer = opinionated(), Tokenizer()
    shapes: list[tuple[int, ...]] = []
    model.backbone.embedding.register_forward_hook(
        lambda _, inputs, __: shapes.append(tuple(inputs[0].shape))
    )
    sequences = ["ACGT" * n for n in (1, 2, 3, 500, 2, 1, 40)] * 3
    settings = {"max_bases": most, "batch_size": batch_size}
    vectors = embed(model, tokenizer, sequences, **settings)  # type: ignore[call-overload]
    # A start token stands before each row of a batch that is no longer than the budget.
    assert max(rows * length for rows, length in shapes) <= (most or 4096) * 9 / 8 + batch_size
    assert max(rows for rows, _ in shapes) <= batch_size
    alone = np.stack([embed(model, tokenizer, [s])[0] for s in sequences[:7]])
    np.testing.assert_allclose(vectors[:7], alone, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(vectors[7:], np.tile(alone, (2, 1)), rtol=1e-4, atol=2e-5)
