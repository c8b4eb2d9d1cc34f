"""Of a piece of a row objectives make that piece of what they make of the row."""

import pytest
import torch
from raw_batches import raw_batch
from torch import Tensor

from dnamamba.alphabet import BOS, Tokenizer
from dnamamba.data.samples.piece import long_enough, piece
from dnamamba.training.objectives import Example, Masked, NextBase, Objective
from dnamamba_kernels.pieces import cut

TOKENIZER = Tokenizer()
Batch = dict[str, Tensor]


def rows(kind: str) -> Batch:
    batch, _ = raw_batch(TOKENIZER, rows=32, length=67)
    marks = torch.rand(32, 67, generator=torch.Generator().manual_seed(0)) < 0.1
    if kind == "windows":
        return batch
    del batch["soft_mask"], batch["lengths"]
    batch["tokens"] = batch["tokens"].clamp(min=4)  # full rows
    batch["resets"] = marks
    if kind == "lanes":
        batch["lane"] = torch.arange(32)
        batch["before"] = torch.where(marks[:, 0], BOS, batch["tokens"][:, 0].flip(0))
    return batch


def same(ours: Example, whole: Example, part: slice) -> None:
    for name in ("tokens", "targets", "weight", "resets"):
        expected, actual = getattr(whole, name), getattr(ours, name)
        assert (actual is None) == (expected is None)
        if expected is not None:
            torch.testing.assert_close(actual, expected[:, part], rtol=0, atol=0, msg=name)
    if whole.lengths is not None:
        at = torch.arange(67)
        real = at[: part.stop - part.start] < ours.lengths[:, None]  # type: ignore[index]
        assert torch.equal(real, (at < whole.lengths[:, None])[:, part])


@pytest.mark.parametrize("objective", [NextBase(), Masked(share=0.5)], ids=["next", "masked"])
@pytest.mark.parametrize("kind", ["windows", "packed", "lanes"])
@pytest.mark.parametrize("parts", [1, 2, 4, 7, 67])
def test_pieces(objective: Objective, kind: str, parts: int) -> None:
    batch = rows(kind)
    whole = objective.example(batch, TOKENIZER, 0.25)
    for part in cut(67, parts):
        own = piece(batch, part)
        assert own["tokens"].shape[1] == part.stop - part.start
        assert torch.equal(own["index"], batch["index"])
        same(objective.example(own, TOKENIZER, 0.25), whole, part)


def test_a_piece_holds_no_more_of_a_row() -> None:
    batch = rows("windows")
    for part in cut(67, 4):
        own = piece(batch, part)
        size = part.stop - part.start
        assert own["soft_mask"].shape[1] == -(-size // 8)
        for name in ("tokens", "soft_mask", "before"):
            assert own[name].untyped_storage().nbytes() == own[name].numel(), name


def test_labels_are_whole_and_short_rows_long_enough() -> None:
    tokens = torch.full((2, 3), 4, dtype=torch.uint8)
    batch = {"tokens": tokens, "lengths": torch.tensor([3, 1]), "label": torch.eye(2, 3)}
    assert torch.equal(piece(batch, slice(0, 1))["label"], batch["label"])
    longer = long_enough(batch, 8)
    assert longer["tokens"].tolist() == [[4, 4, 4, 0, 0, 0, 0, 0]] * 2
    assert longer["lengths"].tolist() == [3, 1]
    assert long_enough(batch, 3) is batch
    full = {"tokens": tokens}  # nobody would know where its rows end
    assert long_enough(full, 8) is full


def test_rows_of_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows of shape \(2, 8\) are read whole"):
        piece({"tokens": torch.zeros(3, 2, 8, dtype=torch.uint8)}, slice(0, 4))
