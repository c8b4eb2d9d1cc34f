"""Token ids of published models, and tables that come with others."""

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.vocabulary import VOCABULARIES

TABLE = {"A": 7, "C": 8, "G": 9, "T": 10, "N": 11}


def test_ids_of_published_models() -> None:
    caduceus, plant = Tokenizer("caduceus"), Tokenizer("plantcaduceus")
    # N is its PAD, as in its training; other codes are its UNK.
    assert caduceus.encode("ACGTNacgtnUuRv").tolist() == [
        *(7, 8, 9, 10, 4), *(7, 8, 9, 10, 4), 10, 10, 6, 6
    ]  # fmt: skip
    assert plant.encode("ACGTNacgtnUuRv").tolist() == [
        *(3, 4, 5, 6, 2), *(3, 4, 5, 6, 2), 6, 6, 2, 2
    ]  # fmt: skip
    assert (caduceus.vocab_size, caduceus.mask, caduceus.base_ids) == (16, 3, (7, 8, 9, 10))
    assert (plant.vocab_size, plant.mask, plant.base_ids) == (8, 1, (3, 4, 5, 6))
    assert tuple(caduceus.complement_table[:16]) == (*range(7), 10, 9, 8, 7, *range(11, 16))
    assert tuple(plant.complement_table[:8]) == (0, 1, 2, 6, 5, 4, 3, 7)
    assert np.flatnonzero(caduceus.scored).tolist() == [7, 8, 9, 10]
    assert np.flatnonzero(plant.scored).tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("name", [*VOCABULARIES, "a=3 c=4 g=5 t=6 size=8"])
def test_policies_and_inverses(name: str) -> None:
    tokenizer = Tokenizer(name)
    letters = "ACGTTGCA"
    ids = tokenizer.encode(letters)
    assert tokenizer.decode(ids) == letters
    assert tokenizer.decode(tokenizer.reverse_complement(ids)) == "TGCAACGT"
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(tokenizer.complement(tokenizer.complement(every)), every)
    for policy, letter in (("iupac", "R"), ("uracil", "U")):
        with pytest.raises(ValueError, match=rf"position 1 .*{policy}=accept"):
            Tokenizer(name, **{policy: "error"}).encode("A" + letter)  # type: ignore[arg-type]
    raw = np.frombuffer(b"ACGTTGCAA", dtype=np.uint8)
    out = np.empty_like(raw)
    tokenizer.encode_into(raw, out, b"ACGT")
    np.testing.assert_array_equal(out[:8], ids)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_table_gives_its_vocabulary_again(name: str) -> None:
    tokenizer = Tokenizer(name)
    assert Tokenizer.of_tokens(tokenizer.tokens, tokenizer.vocab_size) == tokenizer


@pytest.mark.parametrize(
    ("tokens", "sequence", "ids"),
    [
        (TABLE, "ACGTNacgtnUR", [7, 8, 9, 10, 11, 7, 8, 9, 10, 11, 10, 11]),
        ({**TABLE, "R": 12, "Y": 13}, "RYS", [12, 13, 11]),
        ({**TABLE, "U": 12}, "UuT", [12, 12, 10]),
        ({"a": 1, "c": 2, "g": 3, "t": 4}, "AcGt", [1, 2, 3, 4]),
        ({**TABLE, "a": 12, "c": 13, "g": 14, "t": 15}, "AaTtNn", [7, 12, 10, 15, 11, 11]),
        ({**TABLE, "a": 7}, "Aa", [7, 7]),
        ({**TABLE, "mask": 3}, "A", [7]),
    ],
)
def test_tables(tokens: dict[str, int], sequence: str, ids: list[int]) -> None:
    tokenizer = Tokenizer.of_tokens(tokens, 32)
    assert tokenizer.encode(sequence).tolist() == ids
    assert tokenizer.known
    assert tokenizer.mask == tokens.get("mask")
    assert tokenizer.vocab_size == 32
    assert Tokenizer(tokenizer.name) == tokenizer
    assert Tokenizer.of_tokens(tokenizer.tokens, 32) == tokenizer


def test_nobody_knows() -> None:
    tokenizer = Tokenizer.of_tokens({}, 50_280)
    assert (tokenizer.name, tokenizer.known, tokenizer.vocab_size) == ("size=50280", False, 50_280)
    with pytest.raises(ValueError, match=r"reads, position 0 .*: nobody says which letters"):
        tokenizer.encode("ACGT", contig="reads")
    with pytest.raises(ValueError, match="nobody says which letters"):
        _ = tokenizer.base_ids
    assert not tokenizer.scored.any()
    with pytest.raises(ValueError, match=r"'N' has no id in this model's table; give N"):
        Tokenizer("A=1 C=2 G=3 T=4 size=8").encode("ACN")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("A=1 C=2", "tokenizer name must be"),
        ("A=1 size=8 C=2", "tokenizer name must be"),
        ("A=-1 size=8", "tokenizer name must be"),
        ("A=1 C=2 G=3 size=8", "it lacks T"),
        ("A=1 C=2 G=3 T=9 size=8", "the id of T must be 0 to 7, as the model has, got 9"),
        ("A=1 C=2 G=3 T=255 size=256", "the id of T must be 0 to 254"),
        ("A=1 C=2 G=3 T=4 R=5 N=6 size=8", "give no complement: that of R"),
        (7, "tokenizer name must be text, got 7"),
    ],
)
def test_wrong_spellings(name: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tokenizer(name)  # type: ignore[arg-type]
