"""Token ids: stable, invertible, complementary, and strict."""

import itertools
import pickle

import numpy as np
import pytest
from Bio.Seq import Seq

from dnamamba.alphabet import (
    BOS,
    EOS,
    LETTERS,
    MASK,
    PAD,
    Tokenizer,
    complement_bases,
)

POLICIES = [
    Tokenizer(name, iupac, uracil)  # type: ignore[arg-type]
    for name, iupac, uracil in itertools.product(
        ("nucleotide", "byte"), ("accept", "error"), ("accept", "error")
    )
]


def test_ids_never_change() -> None:
    """They are part of every checkpoint."""
    assert (PAD, BOS, EOS, MASK) == (0, 1, 2, 3)
    nucleotide, byte = Tokenizer(), Tokenizer("byte")
    assert nucleotide.encode(b"ACGTNacgtnUuRYSWKMBDHV").tolist() == [
        *(4, 5, 6, 7, 8), *(4, 5, 6, 7, 8), 7, 7, *([8] * 10)
    ]  # fmt: skip
    assert byte.encode(b"ACGTNacgtnUuRYrv").tolist() == list(b"ACGTNacgtnUuRYrv")
    assert (nucleotide.vocab_size, byte.vocab_size) == (16, 256)
    assert nucleotide.base_ids == (4, 5, 6, 7)
    assert byte.base_ids == (65, 67, 71, 84)


@pytest.mark.parametrize("tokenizer", POLICIES, ids=str)
def test_every_byte_is_encoded_or_refused(tokenizer: Tokenizer) -> None:
    accepted = b"ACGTNacgtn"
    accepted += b"RYSWKMBDHVryswkmbdhv" if tokenizer.iupac == "accept" else b""
    accepted += b"Uu" if tokenizer.uracil == "accept" else b""
    for byte in range(256):
        assert tokenizer.accepts(byte) == (byte in accepted)
        if byte in accepted:
            (token,) = tokenizer.encode(bytes([byte]))
            assert MASK < token < tokenizer.vocab_size
        else:
            with pytest.raises(ValueError, match=r"chr2, position 1,001 \(0-based\)"):
                tokenizer.encode(b"A" + bytes([byte]), contig="chr2", start=1000)


@pytest.mark.parametrize("tokenizer", POLICIES, ids=str)
def test_complement_is_an_involution_that_keeps_special_ids(tokenizer: Tokenizer) -> None:
    ids = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(tokenizer.complement(tokenizer.complement(ids)), ids)
    assert tokenizer.complement(ids)[:4].tolist() == [PAD, BOS, EOS, MASK]
    batch = np.random.default_rng(0).integers(0, tokenizer.vocab_size, (3, 17), dtype=np.uint8)
    twice = tokenizer.reverse_complement(tokenizer.reverse_complement(batch))
    np.testing.assert_array_equal(twice, batch)
    np.testing.assert_array_equal(
        tokenizer.reverse_complement(batch)[1], tokenizer.reverse_complement(batch[1])
    )


@pytest.mark.parametrize(
    ("tokenizer", "sequence", "expected"),
    [
        (Tokenizer(), b"ACGTN", "NACGT"),
        (Tokenizer(), b"aacgtu", "AACGTT"),
        (Tokenizer(), b"RAC", "GTN"),
        (Tokenizer("byte"), b"ACGTN", "NACGT"),
        (Tokenizer("byte"), b"AAcgn", "ncgTT"),
        (Tokenizer("byte"), b"RYSWKMBDHVN", "NBDHVKMWSRY"),
        (Tokenizer("byte"), b"AUu", "uUT"),
    ],
)
def test_reverse_complement(tokenizer: Tokenizer, sequence: bytes, expected: str) -> None:
    assert tokenizer.decode(tokenizer.reverse_complement(tokenizer.encode(sequence))) == expected


def test_complement_of_letters_agrees_with_that_of_ids() -> None:
    for tokenizer in (Tokenizer(), Tokenizer("byte")):
        letters = LETTERS.replace(b"U", b"").replace(b"u", b"")
        if tokenizer.name == "nucleotide":
            letters = LETTERS
        np.testing.assert_array_equal(
            tokenizer.encode(complement_bases(letters)),
            tokenizer.complement(tokenizer.encode(letters)),
        )
    assert complement_bases(b"ACGTUacgtu-") == b"TGCAAtgcaa-"


@pytest.mark.parametrize(
    ("tokenizer", "sequence", "expected"),
    [
        (Tokenizer(), "ACGTNacgtn", "ACGTNACGTN"),
        (Tokenizer(), "uUrY", "TTNN"),
        (Tokenizer("byte"), "ACGTNacgtnUuRYr", "ACGTNacgtnUuRYr"),
        (Tokenizer(), "", ""),
    ],
)
def test_decode_inverts_encode(tokenizer: Tokenizer, sequence: str, expected: str) -> None:
    ids = tokenizer.encode(sequence)
    assert ids.dtype == np.uint8
    for form in (ids, ids.tolist(), ids.tobytes(), ids.astype(np.int64)):
        assert tokenizer.decode(form) == expected
    np.testing.assert_array_equal(tokenizer.encode(expected), ids)
    with_special = np.concatenate([[BOS], ids, [EOS, PAD, 250]])
    assert tokenizer.decode(with_special, skip_special=True) == expected


@pytest.mark.parametrize("bad", [PAD, BOS, 9, 15, 255, 256, -1, 1 << 40])
def test_decode_refuses_what_is_no_base(bad: int) -> None:
    with pytest.raises(ValueError, match=rf"id {bad} at position 2 stands for no base"):
        Tokenizer().decode(np.array([4, 5, bad, 6]))


@pytest.mark.parametrize(
    ("tokenizer", "sequence", "message"),
    [
        (Tokenizer(), "AC-GT", "position 2 .*'-' is a gap"),
        (Tokenizer(), "ACGT*", r"position 4 .*'\*' is no nucleotide"),
        (Tokenizer(), "AC GT", "position 2 .*' ' is no nucleotide"),
        (Tokenizer(), "AC\n", "position 2 .*byte 0x0a"),
        (Tokenizer(), "MKVL", "position 3 .*'L' .*protein"),
        (Tokenizer("byte"), "ACGé", "position 3 .*byte 0xe9"),
        (Tokenizer("byte"), "ACG→T", "position 3 .*"),
        (Tokenizer(iupac="error"), "ACRT", "'R' is an IUPAC code; set tokenizer.iupac=accept"),
        (Tokenizer(uracil="error"), "ACuT", "'u' is uracil; set tokenizer.uracil=accept"),
    ],
)
def test_refusals_say_where_and_what_to_do(
    tokenizer: Tokenizer, sequence: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tokenizer.encode(sequence)


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 5), (2, 70_001), (5, 4, 3)])
@pytest.mark.parametrize("tokenizer", [Tokenizer(), Tokenizer("byte")], ids=str)
def test_encode_into_equals_a_lookup_of_each_byte(
    tokenizer: Tokenizer, shape: tuple[int, ...]
) -> None:
    letters = np.frombuffer(LETTERS, dtype=np.uint8)
    raw = np.random.default_rng(1).choice(letters, shape)
    out = np.full(shape, 77, dtype=np.uint8)
    tokenizer.encode_into(raw, out)
    np.testing.assert_array_equal(out, np.frombuffer(tokenizer.table, np.uint8)[raw])
    np.testing.assert_array_equal(out.reshape(-1), tokenizer.encode(raw.tobytes()))


@pytest.mark.parametrize("shape", [(0,), (7,), (8,), (3, 11), (2, 300_001)])
@pytest.mark.parametrize(
    ("tokenizer", "letters"),
    [
        (Tokenizer(), b"ACGTNUacgtnu"),
        (Tokenizer(iupac="error"), b"ACgt"),
        (Tokenizer(), LETTERS),
        (Tokenizer("byte"), b"ACGTN"),
    ],
)
def test_known_letters_change_nothing_but_the_speed(
    tokenizer: Tokenizer, letters: bytes, shape: tuple[int, ...]
) -> None:
    raw = np.random.default_rng(2).choice(np.frombuffer(letters, np.uint8), shape)
    out = np.full(shape, 77, dtype=np.uint8)
    tokenizer.encode_into(raw, out, letters)
    np.testing.assert_array_equal(out, np.frombuffer(tokenizer.table, np.uint8)[raw])


@pytest.mark.parametrize(
    ("tokenizer", "byte"), [(Tokenizer(uracil="error"), b"U"), (Tokenizer(iupac="error"), b"R")]
)
def test_known_letters_excuse_none(tokenizer: Tokenizer, byte: bytes) -> None:
    raw = np.frombuffer(b"A" * 20 + byte + b"C" * 9, np.uint8)
    with pytest.raises(ValueError, match=rf"position 20 \(0-based\): '{byte.decode()}'"):
        tokenizer.encode_into(raw, np.empty_like(raw), b"AC" + byte)


@pytest.mark.parametrize("place", [(0, 0), (0, 70_000), (1, 0), (1, 69_999), (1, 70_000)])
def test_encode_into_finds_every_refused_byte(place: tuple[int, int]) -> None:
    raw = np.full((2, 70_001), ord("A"), dtype=np.uint8)
    raw[place] = ord("*")
    with pytest.raises(ValueError, match=rf"batch index \({place[0]},\), position {place[1]:,} "):
        Tokenizer().encode_into(raw, np.empty_like(raw))


def test_encode_into_refuses_other_shapes() -> None:
    raw = np.full((2, 4), ord("A"), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"raw \(2, 4\) and out \(8,\)"):
        Tokenizer().encode_into(raw, np.empty(8, np.uint8))
    with pytest.raises(ValueError, match="C-contiguous"):
        Tokenizer().encode_into(raw, np.empty((4, 2), np.uint8).T)


def test_what_can_be_encoded() -> None:
    expected = Tokenizer().encode(b"ACGT")
    raw = np.frombuffer(b"ACGT", dtype=np.uint8)
    for same in ("ACGT", Seq("ACGT"), bytearray(b"ACGT"), memoryview(b"ACGT"), raw):
        assert np.array_equal(Tokenizer().encode(same), expected)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="prompt must be a string or bytes, got list"):
        Tokenizer().encode(["A", "C"], contig="prompt")  # type: ignore[arg-type]


def test_encoded_ids_are_the_callers() -> None:
    ids = Tokenizer().encode(b"ACGT")
    ids[0] = 9
    assert Tokenizer().encode(b"ACGT")[0] == 4


def test_scored_ids() -> None:
    nucleotide, byte = Tokenizer(), Tokenizer("byte")
    assert np.flatnonzero(nucleotide.scored).tolist() == [4, 5, 6, 7]
    assert bytes(np.flatnonzero(byte.scored).tolist()) == b"ACGTUacgtu"


def test_soft_mask() -> None:
    expected = [False, True, False, True, True, False]
    assert Tokenizer.soft_mask(b"AcGnuN").tolist() == expected
    batch = np.frombuffer(b"AcGnuN", np.uint8).reshape(2, 3)
    assert Tokenizer.soft_mask(batch).tolist() == [expected[:3], expected[3:]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "kmer"},
            "tokenizer name must be 'nucleotide', 'byte', 'caduceus' or 'plantcaduceus', "
            "got 'kmer'",
        ),
        ({"iupac": "maybe"}, "iupac must be 'accept' or 'error', got 'maybe'"),
        ({"uracil": None}, "uracil must be 'accept' or 'error', got None"),
    ],
)
def test_unknown_policies(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tokenizer(**values)  # type: ignore[arg-type]


def test_pickles_to_an_equal() -> None:
    tokenizer = Tokenizer("byte", iupac="error")
    assert pickle.loads(pickle.dumps(tokenizer)) == tokenizer
