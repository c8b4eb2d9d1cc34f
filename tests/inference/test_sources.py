"""Many strings in one look-up: the ids of each, and the first of the errors."""

from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.inference import sources
from dnamamba.inference.sources import encode_all


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
