"""Many strings in one look-up: the ids of each, and the first of the errors."""

from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.inference import sources
from dnamamba.inference.batching import buckets, grouped
from dnamamba.inference.sources import Encoded, encode_all, sources_of


@pytest.mark.parametrize("at_once", [1, 7, 1 << 24])
def test_each_sequence_has_its_own_ids(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(sources, "_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGTNacgt"), n)) for n in (1, 2, 5, 1, 8, 3, 13, 1)]
    for name in ("nucleotide", "byte"):
        tokenizer = Tokenizer(name)
        got = encode_all(tokenizer, texts)
        for one, text in zip(got, texts, strict=True):
            np.testing.assert_array_equal(one.tokens, tokenizer.encode(text))


@pytest.mark.parametrize("at_once", [1, 7, 1 << 24])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["ACGT", "AC", "A!G", "", "T?"], r"sequences\[2\], position 1 "),
        (["!", ""], r"sequences\[0\], position 0 "),
        (["AC", "", "A!"], r"sequences\[1\] is empty"),
        (["AC", "GGG!", None], r"sequences\[1\], position 3 "),
        (["AC", None, "GGG!"], r"sequences\[1\] must be a string"),
        ({"x": "A", "y": "C-G"}, r"sequences\['y'\], position 1 "),
    ],
)
def test_the_first_error_is_named(
    monkeypatch: pytest.MonkeyPatch, at_once: int, bad: Any, message: str
) -> None:
    monkeypatch.setattr(sources, "_AT_ONCE", at_once)
    with pytest.raises(ValueError, match=message):
        encode_all(Tokenizer(), bad)


def test_rows_of_many_are_those_of_each() -> None:
    texts = ["ACGTN", "ACG", "T", "GGCA"]
    together = encode_all(Tokenizer(), texts)
    alone = [Encoded(Tokenizer().encode(text)) for text in texts]
    for first, last in [(0, 5), (0, 2), (1, 4), (4, 5), (5, 5)]:
        stops = np.minimum(last, together.lengths)
        starts = np.full(4, first)
        rows = [np.full((4, 6), 77, dtype=np.uint8) for _ in range(3)]
        together.write(starts, stops, rows[0])
        sources_of(alone).write(starts, stops, rows[1])
        for row, one, stop in zip(rows[2], alone, stops, strict=True):
            row[: max(0, stop - first)] = one.ids(first, max(first, int(stop)))
        np.testing.assert_array_equal(rows[0], rows[2])
        np.testing.assert_array_equal(rows[1], rows[2])
    for some in (together.take([3, 1]), sources_of(alone).take([3, 1])):
        assert some.lengths.tolist() == [4, 3]
        np.testing.assert_array_equal(some[0].ids(0, 4), alone[3].tokens)
    np.testing.assert_array_equal(together[1:][0].ids(0, 3), alone[1].tokens)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("most", [None, 1, 20, 64])
@pytest.mark.parametrize("row", [None, 5])
def test_buckets_are_the_groups_of_the_sorted(
    batch_size: int, most: int | None, row: int | None
) -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 200).tolist()
    order = sorted(range(200), key=lambda i: -lengths[i])
    expected = grouped(order, lambda i: min(lengths[i], row or lengths[i]), batch_size, most)
    sources = [Encoded(np.zeros(n, np.uint8)) for n in lengths]
    assert list(buckets(sources, batch_size, most, row)) == list(expected)
