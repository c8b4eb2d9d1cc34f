"""Who counts as a relative, held against the plain definition."""

import numpy as np
import pytest
from benchmark_data import bases, mutated

from dnamamba.probing import relatives
from dnamamba.probing.relatives import groups_of, sampling, sketch, with_relatives
from dnamamba.report.kmers import canonical_kmers


def _family(rng: np.random.Generator, members: int, length: int = 200) -> list[bytes]:
    first = bases(rng, length)
    return [mutated(rng, first, 0.01, reverse=bool(i % 2)).encode() for i in range(members)]


def _plain_groups(sequences: list[bytes]) -> list[int]:
    """By comparing every two."""
    sets = [set(canonical_kmers(sequence, 21).tolist()) for sequence in sequences]
    group = list(range(len(sets)))
    for i in range(len(sets)):
        for j in range(i):
            if len(sets[i] & sets[j]) >= 0.25 * min(len(sets[i]), len(sets[j])):
                low, high = sorted((group[i], group[j]))
                group = [low if g == high else g for g in group]
    return group


def _mixed_sequences(seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    sequences = [bases(rng, int(rng.integers(40, 300))).encode() for _ in range(40)]
    for _ in range(6):
        sequences += _family(rng, int(rng.integers(2, 6)))
    whole = bases(rng, 400)
    sequences += [whole[i : i + 150].encode() for i in range(0, 250, 60)]
    return [sequences[i] for i in rng.permutation(len(sequences))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pairs", [1, 1 << 22])
def test_groups_are_the_clusters_of_single_linkage(
    seed: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relatives, "_PAIRS", pairs)
    sequences = _mixed_sequences(seed)
    assert groups_of(sketch(sequences)).tolist() == _plain_groups(sequences)


def test_stretches_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [b"", *_mixed_sequences(0), b"", b"ACGT"]
    whole = sketch(sequences)
    monkeypatch.setattr(relatives, "_BASES", 100)
    for one, other in zip(whole, sketch(sequences), strict=True):
        assert np.array_equal(one, other)


def test_a_sequence_with_a_relative_elsewhere_is_marked() -> None:
    rng = np.random.default_rng(0)
    family = _family(rng, 3)
    alone = [bases(rng, 200).encode() for _ in range(5)]
    marked = with_relatives(sketch([alone[0], family[0]]), sketch([*alone[1:], *family[1:]]))
    assert marked.tolist() == [False, True]


def test_strand_and_case_do_not_matter() -> None:
    one = sketch([b"ACGGATTACAGATTACAGGCATCGATTTACG", b"acggattacagattacaggcatcgatttacg"])
    assert np.array_equal(*np.split(one.hashes, 2))
    other = sketch([b"CGTAAATCGATGCCTGTAATCTGTAATCCGT"])
    assert np.array_equal(one.hashes[: one.sizes[0]], other.hashes)


def test_what_has_no_kmer_is_related_to_its_copies_alone() -> None:
    short = [b"ACGTTG", b"CAACGT", b"ACGTTT", b"NNNNNNNNNNNNNNNNNNNNNNNNN", b"ACGTTG"]
    assert groups_of(sketch(short)).tolist() == [0, 0, 2, 3, 0]


def test_a_sketch_is_enough_for_long_sequences() -> None:
    rng = np.random.default_rng(1)
    sequences = _family(rng, 4, 8000) + [bases(rng, 8000).encode() for _ in range(4)]
    one_of = sampling([len(sequence) for sequence in sequences])
    assert one_of == 8
    assert sketch(sequences, one_of).sizes.max() < 1400
    assert groups_of(sketch(sequences, one_of)).tolist() == [0, 0, 0, 0, 4, 5, 6, 7]


def test_few_short_sequences_are_compared_by_all_their_kmers() -> None:
    assert sampling([101] * 47_000) == sampling([]) == 1
    assert sampling([16_700] * 4_322) == 32
    assert sampling([1000] * 90_000) == 4


def test_a_repeat_in_very_many_costs_little_and_a_family_stays_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(2)
    repeat = bases(rng, 30)
    sequences = [(bases(rng, 90) + repeat).encode() for _ in range(200)] + _family(rng, 60, 120)
    groups = groups_of(sketch(sequences))
    assert groups[:200].tolist() == list(range(200))
    monkeypatch.setattr(relatives, "_ALL_PAIRS", 60_000)
    assert np.array_equal(groups_of(sketch(sequences)), groups)


def test_nothing_has_no_groups() -> None:
    assert groups_of(sketch([])).tolist() == []
    assert with_relatives(sketch([b"ACGT" * 8]), sketch([])).tolist() == [False]
