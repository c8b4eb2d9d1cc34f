"""Scores of variants against plain passes over both sequences, and what a score must not do."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.embedding import embed
from dnamamba.inference.scoring import score
from dnamamba.inference.variant_scores import VariantScore, score_variants
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-4}
FIGURES = ("llr", "llr_forward", "llr_reverse", "l2", "cosine")
SIZE = 300


@pytest.fixture(scope="module")
def bases() -> str:
    letters = np.frombuffer(b"ACGT", np.uint8)
    return letters[np.random.default_rng(7).integers(0, 4, SIZE)].tobytes().decode()


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory, bases: str) -> Genome:
    path = tmp_path_factory.mktemp("variants") / "ref.fa"
    path.write_text(f">one\n{bases}\n>gap\n{'N' * 40}\n")
    return Genome(path)


@pytest.fixture
def variants(bases: str) -> list[Variant]:
    """SNVs, MNVs and indels in the middle and at both ends; neighbours share place and REF."""
    found = []
    for start, size, alts in [
        (0, 1, ["G", "C", "A", "T", "ACGT"]),
        (1, 2, ["T"]),
        (100, 1, ["A", "C", "G", "T", "TTTTTTTTTT"]),
        (100, 3, ["AAC", "A", "CGCGT"]),
        (150, 12, ["A"]),
        (250, 1, ["GATTACA"]),
        (SIZE - 3, 3, ["ACG", "A"]),
        (SIZE - 1, 1, ["A", "C", "CAA"]),
    ]:
        ref = bases[start : start + size]
        found += [Variant("one", start, ref, alt) for alt in alts if alt != ref]
    return found


def _figures(scores: Sequence[VariantScore]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([[getattr(s, name) for name in FIGURES] for s in scores])


def _plain(
    model: LanguageModel, tokenizer: Tokenizer, bases: str, v: Variant, context: int, flank: int
) -> list[float]:
    """The same from whole passes over (prefix, allele, flank), nothing shared."""
    complement = str.maketrans("ACGT", "TGCA")
    end = v.start + len(v.ref)
    left, right = bases[: v.start], bases[end:]
    llr, l2, cosine = [], [], []
    for turn in (False, True):
        before, after, alleles = left, right, [v.ref, v.alt]
        if turn:
            before, after = (x.translate(complement)[::-1] for x in (right, left))
            alleles = [x.translate(complement)[::-1] for x in alleles]
        before, after = before[max(0, len(before) - context) :], after[:flank]
        sums, means = [], []
        for allele in alleles:
            total = score(model, tokenizer, [before + allele + after]).log_likelihood[0]
            prefix = score(model, tokenizer, [before]).log_likelihood[0] if before else 0.0
            sums.append((total - prefix, len(allele + after)))
            (hidden,) = embed(model, tokenizer, [before + allele + after], pooling=None)
            means.append(hidden[len(before) :].astype(np.float64).mean(0))
        (s_ref, n_ref), (s_alt, n_alt) = sums
        harmonic = 2 / (1 / n_ref + 1 / n_alt)
        llr.append(harmonic * (s_alt / n_alt - s_ref / n_ref))
        l2.append(np.linalg.norm(means[0] - means[1]))
        norms = np.linalg.norm(means[0]) * np.linalg.norm(means[1])
        cosine.append(1 - means[0] @ means[1] / norms)
    return [float(np.mean(llr)), *llr, float(np.mean(l2)), float(np.mean(cosine))]


@pytest.mark.parametrize(("context", "flank"), [(1000, 1000), (40, 20), (20, 40), (0, 0), (3, 0)])
def test_shared_prefixes_give_what_two_full_passes_give(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    bases: str,
    variants: list[Variant],
    context: int,
    flank: int,
) -> None:
    scores = list(score_variants(model, tokenizer, genome, variants, context=context, flank=flank))
    assert [s.variant for s in scores] == variants
    expected = [_plain(model, tokenizer, bases, v, context, flank) for v in variants]
    np.testing.assert_allclose(_figures(scores), expected, **CLOSE)
    assert np.median(np.abs(_figures(scores)[:, 0])) > 0.1  # the model has opinions


@pytest.mark.parametrize(("batch_size", "chunk_length"), [(1, 4096), (3, 7), (50, 64)])
def test_batches_and_chunks_change_nothing(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    variants: list[Variant],
    batch_size: int,
    chunk_length: int,
) -> None:
    settings = {"batch_size": batch_size, "chunk_length": chunk_length}
    expected = list(score_variants(model, tokenizer, genome, variants, flank=50))
    got = list(score_variants(model, tokenizer, genome, variants, flank=50, **settings))
    np.testing.assert_allclose(_figures(got), _figures(expected), **CLOSE)


def test_one_strand_is_the_forward_one(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome, variants: list[Variant]
) -> None:
    both = list(score_variants(model, tokenizer, genome, variants))
    one = list(score_variants(model, tokenizer, genome, variants, both_strands=False))
    assert all(math.isnan(s.llr_reverse) for s in one)
    np.testing.assert_allclose([s.llr for s in one], [s.llr_forward for s in both], **CLOSE)


def test_the_opposite_strand_of_the_genome_gives_the_same(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    bases: str,
    variants: list[Variant],
    tmp_path: Any,
) -> None:
    complement = str.maketrans("ACGT", "TGCA")
    (tmp_path / "turned.fa").write_text(f">one\n{bases.translate(complement)[::-1]}\n")
    turned = [
        Variant(
            "one",
            SIZE - v.start - len(v.ref),
            v.ref.translate(complement)[::-1],
            v.alt.translate(complement)[::-1],
        )
        for v in variants
    ]
    here = _figures(list(score_variants(model, tokenizer, genome, variants)))
    other = Genome(tmp_path / "turned.fa")
    there = _figures(list(score_variants(model, tokenizer, other, turned)))
    np.testing.assert_allclose(there, here[:, [0, 2, 1, 3, 4]], **CLOSE)


def test_swapping_the_alleles_changes_the_sign(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome, bases: str, tmp_path: Any
) -> None:
    variant = Variant("one", 120, bases[120:124], "GTTTTTTC")
    (tmp_path / "other.fa").write_text(f">one\n{bases[:120]}{variant.alt}{bases[124:]}\n")
    back = variant._replace(ref=variant.alt, alt=variant.ref)
    window = {"context": 50, "flank": 50}
    (one,) = score_variants(model, tokenizer, genome, [variant], **window)
    (other,) = score_variants(model, tokenizer, Genome(tmp_path / "other.fa"), [back], **window)
    assert one.llr == pytest.approx(-other.llr, rel=1e-4)


def test_padding_of_an_indel_matters_little(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome, bases: str
) -> None:
    plain = Variant("one", 150, bases[150], bases[150] + "GATTACA")
    padded = Variant("one", 147, bases[147:153], bases[147:151] + "GATTACA" + bases[151:153])
    first, second = score_variants(model, tokenizer, genome, [plain, padded])
    assert first.llr == pytest.approx(second.llr, abs=0.02 * abs(first.llr))


def _blind(probabilities: list[float]) -> LanguageModel:
    """A model that sees nothing: every base has these probabilities everywhere."""
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1, tie_embeddings=False))
    assert model.lm_head is not None
    with torch.no_grad():
        model.backbone.embedding.weight.fill_(1.0)
        for layer in model.backbone.layers:
            layer.mixer.out_proj.weight.zero_()  # type: ignore[union-attr]
        logits = torch.full((16,), -30.0)
        logits[4:8] = torch.tensor(probabilities).log()
        model.lm_head.weight.copy_(logits[:, None].expand(-1, 8) / 8)
    return model


def test_length_alone_gives_nothing(tokenizer: Tokenizer, genome: Genome, bases: str) -> None:
    """A blind model finds long indels neither better nor worse than short ones."""
    insertions = [Variant("one", 99, bases[99], bases[99] + "ACGGTTAC" * n) for n in range(1, 12)]
    deletions = [Variant("one", 99, bases[99 : 100 + n], bases[99]) for n in range(1, 60, 7)]
    scores = list(
        score_variants(_blind([0.25] * 4), tokenizer, genome, insertions + deletions, flank=64)
    )
    np.testing.assert_allclose([s.llr for s in scores], 0.0, atol=1e-3)
    np.testing.assert_allclose([s.l2 for s in scores], 0.0, atol=1e-5)


def test_only_what_is_inserted_counts_not_how_much(tokenizer: Tokenizer, tmp_path: Any) -> None:
    """Insertions composed as their neighbourhood score 0 whatever the model's own composition."""
    path = tmp_path / "even.fa"
    path.write_text(f">one\n{'ACGT' * 64}\n")
    # Allele and flank hold each base equally often: 4 of REF and 64 behind it.
    insertions = [Variant("one", 128, "ACGT", "ACGT" + "TGCA" * n) for n in (1, 4, 16)]
    model = _blind([0.4, 0.1, 0.3, 0.2])
    scores = score_variants(model, tokenizer, Genome(path), insertions, context=64, flank=64)
    np.testing.assert_allclose([s.llr for s in scores], 0.0, atol=1e-3)


def test_equal_lengths_give_the_plain_ratio(
    tokenizer: Tokenizer, genome: Genome, bases: str
) -> None:
    probabilities = dict(zip("ACGT", [0.4, 0.1, 0.3, 0.2], strict=True))
    complement = dict(zip("ACGT", "TGCA", strict=True))
    ref = bases[77]
    variants = [Variant("one", 77, ref, alt) for alt in "ACGT" if alt != ref]
    model = _blind(list(probabilities.values()))
    for s in score_variants(model, tokenizer, genome, variants):
        alt = s.variant.alt
        forward = math.log(probabilities[alt] / probabilities[ref])
        reverse = math.log(probabilities[complement[alt]] / probabilities[complement[ref]])
        assert s.llr_forward == pytest.approx(forward, abs=1e-4)
        assert s.llr_reverse == pytest.approx(reverse, abs=1e-4)
        assert s.llr == pytest.approx((forward + reverse) / 2, abs=1e-4)


def test_where_no_base_counts_there_is_no_ratio(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome
) -> None:
    (s,) = score_variants(model, tokenizer, genome, [Variant("gap", 20, "N", "A")], flank=10)
    assert math.isnan(s.llr)
    assert s.l2 > 0


def test_case_follows_the_reference(tmp_path: Any) -> None:
    """With a tokenizer that keeps case, an allele in a masked stretch is masked, too."""
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(vocab_size=256, d_model=16, n_layers=1))
    tokenizer = Tokenizer("byte")
    path = tmp_path / "masked.fa"
    path.write_text(">one\nACGTacgtacgtACGT\n")
    (got,) = score_variants(model, tokenizer, Genome(path), [Variant("one", 6, "G", "T")], flank=3)
    sums = [score(model, tokenizer, [f"ACGTac{allele}tac"]).log_likelihood[0] for allele in "gt"]
    assert got.llr_forward == pytest.approx(sums[1] - sums[0], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"context": -1}, "context must be at least 0, got -1"),
        ({"flank": -5}, "flank must be at least 0, got -5"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"chunk_length": 0}, "chunk_length must be at least 1"),
    ],
)
def test_settings_out_of_range(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    bases: str,
    settings: dict[str, int],
    match: str,
) -> None:
    variant = Variant("one", 5, bases[5], "A" if bases[5] != "A" else "C")
    with pytest.raises(ValueError, match=match):
        list(score_variants(model, tokenizer, genome, [variant], **settings))  # type: ignore[arg-type]


def test_a_backbone_alone_is_refused(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome
) -> None:
    with pytest.raises(ValueError, match="scoring variants needs a language model, got Mamba"):
        list(score_variants(model.backbone, tokenizer, genome, []))  # type: ignore[arg-type]


def test_mode_is_given_back_and_gradients_stay_on_between_scores(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome, variants: list[Variant]
) -> None:
    model.train()
    for _ in score_variants(model, tokenizer, genome, variants[:3], batch_size=1):
        assert model.training
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


@pytest.mark.gpu
def test_nothing_waits_for_the_device(
    model: LanguageModel, tokenizer: Tokenizer, genome: Genome, variants: list[Variant]
) -> None:
    """All work of a batch is given to the device; only what is handed out is waited for."""
    expected = list(score_variants(model, tokenizer, genome, variants))
    model.to("cuda")
    list(score_variants(model, tokenizer, genome, variants))  # compiles
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = list(score_variants(model, tokenizer, genome, variants, batch_size=3))
    finally:
        torch.cuda.set_sync_debug_mode(before)
    np.testing.assert_allclose(_figures(got), _figures(expected), rtol=2e-3, atol=2e-3)
