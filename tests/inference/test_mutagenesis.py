"""Substitutions against the same ones scored as variants."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference import substitution_ratios
from dnamamba.inference.mutagenesis import BASES, Effects, mutate
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 3e-4}
ONE = "GATTACAGATTACCAGGTTTTACGNACGTRCATGACCATTGACCAGTACC"


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "ref.fa").write_text(f">one\n{ONE}\n>two:b\nACGTacgtTGCA\n>gap\nNNNN\n")
    return Genome(tmp_path / "ref.fa")


def _as_variants(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome, start: int, end: int, flank: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(L, 4, 3) llr, forward and reverse by ``score_variants``, the prefix to the contig's end."""
    expected = np.full((end - start, 4, 3), np.nan)
    for at in range(start, end):
        if ONE[at] not in BASES:
            continue
        expected[at - start, BASES.find(ONE[at])] = 0
        variants = [Variant("one", at, ONE[at], base) for base in BASES if base != ONE[at]]
        for s in score_variants(model, tokenizer, genome, variants, flank=flank):
            values = s.llr, s.llr_forward, s.llr_reverse
            expected[at - start, BASES.find(s.variant.alt)] = values
    return expected


@pytest.mark.parametrize(
    ("start", "end", "flank", "batch_size", "chunk_length"),
    [(0, 50, 10, 16, 4096), (5, 31, 0, 3, 7), (22, 24, 100, 100, 5), (49, 50, 3, 1, 1)],
)
def test_equals_each_substitution_scored_as_a_variant(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    start: int,
    end: int,
    flank: int,
    batch_size: int,
    chunk_length: int,
) -> None:
    settings = {"flank": flank, "batch_size": batch_size, "chunk_length": chunk_length}
    got = mutate(model, tokenizer, genome, "one", start, end, **settings)
    assert got.ref == ONE[start:end]
    expected = _as_variants(model, tokenizer, genome, start, end, flank)
    found = np.stack([got.llr, got.forward, got.reverse], axis=-1)
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert np.nanmax(np.abs(found)) > 0.5


@pytest.mark.parametrize("stride", [1, 7, 64])
def test_where_states_are_kept_changes_nothing_and_all_bases_are_told_of(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    stride: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = mutate(model, tokenizer, genome, "one", 3, 47, context=5, flank=8)
    monkeypatch.setattr(substitution_ratios, "_STRIDE_CPU", stride)
    told: list[int] = []
    how: Any = {"context": 5, "flank": 8, "batch_size": 5, "advance": told.append}
    got = mutate(model, tokenizer, genome, "one", 3, 47, **how)
    np.testing.assert_allclose(got.llr, expected.llr, **CLOSE)
    assert sum(told) == 2 * 44
    assert min(told) >= 0


def test_the_context_begins_before_the_region(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome
) -> None:
    """What lies further to the left than ``context`` is not read."""
    whole = mutate(model, tokenizer, genome, "one", 30, 35, context=6, both_strands=False)
    (genome.path.parent / "cut.fa").write_text(f">one\n{ONE[24:]}\n")
    cut = Genome(genome.path.parent / "cut.fa")
    same = mutate(model, tokenizer, cut, "one", 6, 11, both_strands=False)
    np.testing.assert_allclose(whole.llr, same.llr, **CLOSE)
    assert np.isnan(whole.reverse).all()


def test_case_follows_the_reference(genome: Genome) -> None:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(vocab_size=256, d_model=16, n_layers=1))
    tokenizer = Tokenizer("byte")
    got = mutate(model, tokenizer, genome, "two:b", 2, 6, flank=2)
    for at in (2, 5):
        ref = "ACGTACGTTGCA"[at]
        variants = [Variant("two:b", at, ref, base) for base in BASES if base != ref]
        scores = score_variants(model, tokenizer, genome, variants, flank=2)
        expected = {s.variant.alt: s.llr for s in scores}
        values = dict(zip(BASES, got.llr[at - 2], strict=True))
        assert values.pop(ref) == 0
        assert values == pytest.approx(expected, abs=3e-4)


def test_summaries() -> None:
    llr = np.array([[0.0, 1.0, -4.0, -3.0], [np.nan] * 4, [3.0, 0.0, 0.0, -3.0]])
    effects = Effects("one", 7, "ANC", llr, llr, llr)
    np.testing.assert_allclose(effects.mean, [-2.0, np.nan, 0.0])
    np.testing.assert_allclose(effects.strongest, [-4.0, np.nan, 3.0])
