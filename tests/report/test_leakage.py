import numpy as np
import pytest

from dnamamba.report.kmers import base_codes, canonical_kmers, run_lengths
from dnamamba.report.leakage import held_out_windows_with_shared_kmers, shared_kmer_fractions


def _random(length: int, seed: int) -> bytes:
    bases = np.frombuffer(b"ACGT", dtype=np.uint8)
    return bases[np.random.default_rng(seed).integers(0, 4, length)].tobytes()


def _opposite(sequence: bytes) -> bytes:
    return sequence.translate(bytes.maketrans(b"ACGTacgt", b"TGCAtgca"))[::-1]


def test_base_codes_fold_case_and_uracil() -> None:
    assert base_codes(b"ACGTUacgtuNnR-").tolist() == [0, 1, 2, 3, 3, 0, 1, 2, 3, 3, 4, 4, 4, 4]


def test_run_lengths_restart_after_a_gap() -> None:
    assert run_lengths(base_codes(b"NACGNNTA")).tolist() == [0, 1, 2, 3, 0, 0, 1, 2]


@pytest.mark.parametrize("k", [1, 2, 5, 31])
def test_canonical_kmers_against_strings(k: int) -> None:
    sequence = _random(200, k)[:90] + b"N" + _random(120, k + 1)

    def packed(text: bytes) -> int:
        return int("".join(str(b"ACGT".index(base)) for base in text), 4)

    pieces = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    expected = [min(packed(p), packed(_opposite(p))) for p in pieces if b"N" not in p]
    assert canonical_kmers(sequence, k).tolist() == expected
    assert sorted(canonical_kmers(_opposite(sequence), k).tolist()) == sorted(expected)


def test_kmers_longer_than_the_sequence_are_none() -> None:
    assert canonical_kmers(b"ACGT", 5).size == 0
    assert canonical_kmers(b"", 3).size == 0


@pytest.mark.parametrize("k", [0, 32])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be 1 to 31, got {k}"):
        canonical_kmers(b"ACGT", k)


def test_finds_both_strands_and_only_the_leaking_windows() -> None:
    train = [_random(1000, seed) for seed in range(5)]
    held_out = [
        _random(500, 100),
        _random(200, 101) + train[3][400:431] + _random(200, 102),
        _random(200, 103) + _opposite(train[1][10:41]) + _random(200, 104),
        _random(200, 105) + train[0][0:30] + _random(200, 106),
        train[2][950:].lower() + _random(50, 107),
    ]
    # 30 shared bases may be 31 when a neighbour agrees by chance: the seeds are such that not.
    assert held_out_windows_with_shared_kmers(iter(train), held_out, k=31).tolist() == [1, 2, 4]


def test_a_gap_breaks_a_shared_stretch() -> None:
    shared = _random(60, 1)
    train = [shared]
    broken = shared[:30] + b"N" + shared[31:]
    assert held_out_windows_with_shared_kmers(train, [broken], k=31).size == 0
    assert held_out_windows_with_shared_kmers(train, [broken], k=30).tolist() == [0]


def test_fractions_count_distinct_kmers() -> None:
    piece = _random(131, 1)
    held_out = [piece[:70] + _random(70, 2), _opposite(piece), _random(90, 3), b"A" * 50, b"ACG"]
    fractions = shared_kmer_fractions([piece[:60], piece[50:]], held_out, k=11)
    # A neighbour of the shared stretch may agree by chance, and then one k-mer more is shared.
    np.testing.assert_allclose(fractions, [60 / 130, 1, 0, 0, 0], atol=1.5 / 130)
    # A run of A is one distinct k-mer; of ACGTACGT... there are two, up to strand: three in all.
    repeats = b"A" * 60 + b"N" + b"ACGT" * 5
    assert shared_kmer_fractions([b"T" * 11], [repeats], k=11).tolist() == [1 / 3]


def test_nothing_held_out_and_nothing_trained() -> None:
    assert held_out_windows_with_shared_kmers([b"ACGT"], [], k=4).size == 0
    assert held_out_windows_with_shared_kmers([], [b"ACGTACGT"], k=4).size == 0
    assert held_out_windows_with_shared_kmers([b"TTTTT"], [b"NN"], k=4).size == 0
