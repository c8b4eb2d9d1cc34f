from bisect import bisect_left
from math import log2

import numpy as np
import pytest

from dnamamba.report import markov
from dnamamba.report.markov import MarkovModels, fit_markov

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


def _uniform(length: int, seed: int) -> bytes:
    return BASES[np.random.default_rng(seed).integers(0, 4, length)].tobytes()


def _chain(length: int, seed: int) -> tuple[bytes, float]:
    """A sequence whose base follows from the two before it, and its entropy per base."""
    random = np.random.default_rng(seed)
    table = np.random.default_rng(0).dirichlet([0.5] * 4, (4, 4))
    chances, bounds = table.tolist(), table.cumsum(-1).tolist()
    bases, cost = [0, 0], 0.0
    for draw in random.random(length - 2).tolist():
        before, last = bases[-2:]
        base = min(bisect_left(bounds[before][last], draw), 3)
        cost -= log2(chances[before][last][base])
        bases.append(base)
    return BASES[bases].tobytes(), cost / (length - 2)


def _windows(sequence: bytes, length: int) -> list[bytes]:
    return [sequence[i : i + length] for i in range(0, len(sequence), length)]


def _by_hand(models: MarkovModels, window: bytes, order: int) -> tuple[float, int]:
    """Bits of one window, base by base, with strings."""
    bits, bases, context = 0.0, 0, ""
    for letter in window.decode().upper():
        if letter not in "ACGT":
            context = ""
            continue
        known = context[max(len(context) - order, 0) :]
        index = int("".join(str("ACGT".index(b)) for b in known + letter), 4)
        bits += float(models.tables[len(known)][index])
        bases += 1
        context += letter
    return bits, bases


@pytest.fixture(scope="module")
def small() -> MarkovModels:
    return fit_markov(_windows(_chain(6000, 1)[0], 100), max_order=4)


def test_every_context_has_a_distribution(small: MarkovModels) -> None:
    for order, table in enumerate(small.tables):
        assert table.shape == (4 ** (order + 1),)
        np.testing.assert_allclose(np.exp2(-table).reshape(-1, 4).sum(1), 1, rtol=1e-5)


def test_scores_are_those_of_a_base_by_base_walk(small: MarkovModels) -> None:
    windows = [b"ACGTTGCAAC", b"NNACNGTANN", b"acgRtac", b"", b"N", b"G"]
    bits, bases = small.score(windows)
    for i, window in enumerate(windows):
        for order in range(5):
            expected, count = _by_hand(small, window, order)
            assert bits[i, order] == pytest.approx(expected, rel=1e-6)
            assert bases[i] == count


def test_smoothed_counts_by_hand() -> None:
    # Nine pieces: too few to hold any in, so that every m is 128.
    models = fit_markov([b"AC"] * 6 + [b"AG"] * 3, max_order=1, both_strands=False)
    assert models.strengths == (128.0, 128.0)
    p_c = (6 + 128 / 4) / (18 + 128)
    p_c_after_a = (6 + 128 * p_c) / (9 + 128)
    assert 2.0 ** -models.tables[0][1] == pytest.approx(p_c)
    assert 2.0 ** -models.tables[1][1] == pytest.approx(p_c_after_a)


def test_both_strands_is_counting_the_reverse_complements_too() -> None:
    windows = [_uniform(50, seed) for seed in range(9)]
    opposite = [w.translate(COMPLEMENT)[::-1] for w in windows]
    both = fit_markov(windows, max_order=3, both_strands=True)
    doubled = fit_markov(windows, max_order=3, both_strands=False)
    assert not np.allclose(both.tables[3], doubled.tables[3])
    counted = [
        a + b for a, b in zip(markov._count(windows, 3), markov._count(opposite, 3), strict=True)
    ]
    for one, expected in zip(markov._count(windows, 3), counted, strict=True):
        np.testing.assert_array_equal(markov._strands(one, both=True), expected)


def test_a_known_chain_is_recovered_and_higher_orders_do_no_harm() -> None:
    train, _ = _chain(200_000, 2)
    test, entropy = _chain(50_000, 3)
    models = fit_markov(_windows(train, 500), max_order=8, both_strands=False)
    bits, bases = models.score(_windows(test, 500))
    per_base = bits.sum(0) / bases.sum()
    assert per_base[1] > entropy + 0.05
    assert per_base[2] == pytest.approx(entropy, abs=0.01)
    assert np.all(per_base[3:] < entropy + 0.015)


def test_noise_costs_two_bits_under_every_order() -> None:
    models = fit_markov(_windows(_uniform(100_000, 4), 500), max_order=10)
    bits, bases = models.score(_windows(_uniform(50_000, 5), 500))
    np.testing.assert_allclose(bits.sum(0) / bases.sum(), 2, atol=0.01)


def test_copies_in_the_training_set_do_not_praise_long_contexts() -> None:
    genome = _uniform(80_000, 6)
    windows = _windows(genome + genome[:20_000].translate(COMPLEMENT)[::-1], 500)
    models = fit_markov(windows, max_order=10)
    bits, bases = models.score(_windows(_uniform(20_000, 7), 500))
    assert bits.sum(0)[10] / bases.sum() < 2.01


def test_scores_and_counts_do_not_depend_on_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = _windows(_chain(5000, 8)[0], 130)
    whole = fit_markov(windows, max_order=3)
    monkeypatch.setattr(markov, "_slabs", lambda items: ([item] for item in items))
    parts = fit_markov(windows, max_order=3)
    for one, other in zip(whole.tables, parts.tables, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(whole.score(windows).bits, parts.score(windows).bits)


def test_nothing_to_score(small: MarkovModels) -> None:
    bits, bases = small.score([])
    assert bits.shape == (0, 5)
    assert bases.shape == (0,)


def test_few_long_windows_do_to_choose_the_smoothing() -> None:
    models = fit_markov([_uniform(100_000, 9)], max_order=8)
    # Noise: no trust in long contexts is too little; 128 is what stands where nothing is chosen.
    assert min(models.strengths[4:]) > 1000


@pytest.mark.parametrize("windows", [[], [b"NNNN", b""]])
def test_nothing_to_count_is_refused(windows: list[bytes]) -> None:
    with pytest.raises(ValueError, match=f"the {len(windows)} training windows hold no A, C, G"):
        fit_markov(windows)


@pytest.mark.parametrize("order", [-1, 12])
def test_order_out_of_range_is_refused(order: int) -> None:
    with pytest.raises(ValueError, match=f"max_order must be 0 to 11, got {order}"):
        fit_markov([b"ACGT"], max_order=order)
