"""Masked marginals against plain loops: one variant, one strand, one unpadded window at a time."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import reading_both_ways

from dnamamba.alphabet import MASK, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, VariantChecks
from dnamamba.inference.mutagenesis import BASES, mutate
from dnamamba.inference.variant_scores import scorable_variants, score_variants
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
SIZE = 120
TOKENIZER = Tokenizer()
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "symmetric"])
def masked(request: pytest.FixtureRequest) -> LanguageModel:
    return reading_both_ways(symmetric=request.param)


@pytest.fixture(scope="module")
def bases() -> str:
    letters = np.frombuffer(b"ACGT", np.uint8)
    return letters[np.random.default_rng(3).integers(0, 4, SIZE)].tobytes().decode()


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory, bases: str) -> Genome:
    path = tmp_path_factory.mktemp("marginals") / "ref.fa"
    path.write_text(f">one\n{bases}\n>gap\n{'N' * 20}\n")
    return Genome(path)


def _other(base: str, step: int = 1) -> str:
    return BASES[(BASES.index(base) + step) % 4]


@pytest.fixture(scope="module")
def variants(bases: str) -> list[Variant]:
    """At both ends and in the middle; of one base and of several, one with a shared base inside."""
    singles = [(at, bases[at], _other(bases[at], k)) for at in (0, 60, SIZE - 1) for k in (1, 2, 3)]
    pairs = [(at, bases[at : at + 2], "".join(map(_other, bases[at : at + 2]))) for at in (0, 41)]
    apart = (50, bases[50:53], _other(bases[50]) + bases[51] + _other(bases[52], 2))
    return [Variant("one", *place) for place in (*singles, *pairs, apart)]


def _log_p(model: LanguageModel, window: str, changed: list[int]) -> torch.Tensor:
    """(changed, V): what the model gives at these places, masked together."""
    tokens = torch.tensor(TOKENIZER.encode(window))[None]
    tokens[0, changed] = MASK
    with torch.no_grad():
        logits, _ = model(tokens)
    return logits[0, changed].log_softmax(-1)


def _plain(model: LanguageModel, bases: str, v: Variant, context: int) -> list[float]:
    """Forward and reverse."""
    changed = [v.start + i for i in range(len(v.ref)) if v.ref[i] != v.alt[i]]
    first, last = max(0, changed[0] - context), changed[-1] + 1 + context
    window = bases[first:last]
    places = [at - first for at in changed]
    pairs = [(v.ref[at - v.start], v.alt[at - v.start]) for at in changed]
    turned = window.translate(COMPLEMENT)[::-1]
    opposite = [len(window) - 1 - at for at in places]
    llr = []
    for text, where, flip in ((window, places, False), (turned, opposite, True)):
        log_p = _log_p(model, text, where)
        total = 0.0
        for row, pair in enumerate(pairs):
            ref, alt = (x.translate(COMPLEMENT) if flip else x for x in pair)
            of_ref, of_alt = (int(TOKENIZER.encode(x)[0]) for x in (ref, alt))
            total += float(log_p[row, of_alt] - log_p[row, of_ref])
        llr.append(total)
    return llr


@pytest.mark.parametrize(
    ("context", "settings"),
    [(1000, {}), (7, {"batch_size": 1}), (0, {}), (30, {"batch_size": 50, "max_bases": 100})],
)
def test_each_variant_is_what_one_window_alone_gives(
    masked: LanguageModel,
    genome: Genome,
    bases: str,
    variants: list[Variant],
    context: int,
    settings: Any,
) -> None:
    scores = list(score_variants(masked, TOKENIZER, genome, variants, context=context, **settings))
    assert [s.variant for s in scores] == variants
    expected = np.array([_plain(masked, bases, v, context) for v in variants])
    got = np.array([[s.llr_forward, s.llr_reverse] for s in scores])
    np.testing.assert_allclose(got, expected, **CLOSE)
    np.testing.assert_allclose([s.llr for s in scores], expected.mean(1), **CLOSE)
    assert np.isnan([[s.l2, s.cosine] for s in scores]).all()
    if context:
        assert np.abs(expected).max() > 0.5  # the model has opinions
    if masked.backbone.symmetric:
        np.testing.assert_allclose(expected[:, 0], expected[:, 1], **CLOSE)


def test_one_strand(masked: LanguageModel, genome: Genome, variants: list[Variant]) -> None:
    both = list(score_variants(masked, TOKENIZER, genome, variants))
    one = list(score_variants(masked, TOKENIZER, genome, variants, both_strands=False))
    np.testing.assert_allclose([s.llr for s in one], [s.llr_forward for s in both], **CLOSE)
    assert np.isnan([s.llr_reverse for s in one]).all()


def test_how_a_substitution_is_padded_changes_nothing(
    masked: LanguageModel, genome: Genome, bases: str
) -> None:
    bare = Variant("one", 33, bases[33], _other(bases[33]))
    padded = Variant("one", 31, bases[31:36], bases[31:33] + bare.alt + bases[34:36])
    first, second = score_variants(masked, TOKENIZER, genome, [bare, padded], context=20)
    assert first[1:4] == pytest.approx(second[1:4], abs=1e-5)


def test_swapping_the_alleles_changes_the_sign(
    masked: LanguageModel, genome: Genome, bases: str
) -> None:
    alt = _other(bases[10])
    (forth,) = score_variants(masked, TOKENIZER, genome, [Variant("one", 10, bases[10], alt)])
    (back,) = score_variants(masked, TOKENIZER, genome, [Variant("one", 10, alt, bases[10])])
    assert back.llr == pytest.approx(-forth.llr)


def test_indels_are_refused_with_a_sentence(masked: LanguageModel, genome: Genome) -> None:
    indel = Variant("one", 5, "A", "ACC")
    with pytest.raises(ValueError, match=r"one:6:A:ACC is an indel: .* or take a causal model"):
        list(score_variants(masked, TOKENIZER, genome, [indel]))


def test_n_has_no_score(masked: LanguageModel, genome: Genome, bases: str) -> None:
    unknown = [Variant("gap", 3, "N", "A"), Variant("one", 7, bases[7], "N")]
    for score in score_variants(masked, TOKENIZER, genome, unknown):
        assert np.isnan([score.llr, score.llr_forward, score.llr_reverse]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flank": 3}, "flank has no meaning for a model that reads both ways"),
        ({"max_bases": 64, "context": 40}, r"context \(40\) makes a window of 81 bases, more than"),
        ({"max_bases": 0}, "max_bases must be at least 1, got 0"),
    ],
)
def test_settings_out_of_place(
    masked: LanguageModel, genome: Genome, bases: str, settings: Any, message: str
) -> None:
    variant = Variant("one", 60, bases[60], _other(bases[60]))
    with pytest.raises(ValueError, match=message):
        list(score_variants(masked, TOKENIZER, genome, [variant], **settings))
    with pytest.raises(ValueError, match=message):
        mutate(masked, TOKENIZER, genome, "one", 60, 61, **settings)


@pytest.mark.parametrize(("context", "batch_size"), [(30, 3), (9, 64)])
def test_mutagenesis_is_each_substitution_scored_as_a_variant(
    masked: LanguageModel, genome: Genome, bases: str, context: int, batch_size: int
) -> None:
    told: list[int] = []
    settings = {"context": context, "batch_size": batch_size}
    got = mutate(masked, TOKENIZER, genome, "one", 0, 12, **settings, advance=told.append)
    assert sum(told) == 24
    for at in (0, 1, 11):
        assert got.llr[at, BASES.index(bases[at])] == 0
        for base in set(BASES) - {bases[at]}:
            expected = _plain(masked, bases, Variant("one", at, bases[at], base), context)
            column = BASES.index(base)
            values = got.forward[at, column], got.reverse[at, column]
            np.testing.assert_allclose(values, expected, **CLOSE)
            assert got.llr[at, column] == pytest.approx(np.mean(expected), abs=1e-4)


def test_mutagenesis_of_n(masked: LanguageModel, genome: Genome) -> None:
    got = mutate(masked, TOKENIZER, genome, "gap", 2, 5, both_strands=False)
    assert np.isnan(got.llr).all()
    assert got.ref == "NNN"


def test_case_follows_the_reference(tmp_path: Path) -> None:
    """With a tokenizer that keeps case, what is guessed of a masked stretch is lower case."""
    model, tokenizer = reading_both_ways(vocab_size=256), Tokenizer("byte")
    (tmp_path / "masked.fa").write_text(">one\nACGTacgtacgtACGT\n")
    genome = Genome(tmp_path / "masked.fa")
    (got,) = score_variants(model, tokenizer, genome, [Variant("one", 3, "TA", "GG")])
    tokens = torch.tensor(tokenizer.encode("ACGTacgtacgtACGT"))[None]
    tokens[0, 3:5] = MASK
    with torch.no_grad():
        log_p = model(tokens)[0][0].log_softmax(-1)
    upper = log_p[3, ord("G")] - log_p[3, ord("T")]
    lower = log_p[4, ord("g")] - log_p[4, ord("a")]
    assert got.llr_forward == pytest.approx(float(upper + lower), abs=1e-4)


def _vcf(path: Path, bases: str) -> Path:
    alts = {10: _other(bases[10]), 20: bases[20] + "AC", 30: _other(bases[30])}
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=one>", "##contig=<ID=gap>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines += [f"one\t{at + 1}\t.\t{bases[at]}\t{alt}\t.\t.\t." for at, alt in alts.items()]
    lines.append("gap\t4\t.\tN\tA\t.\t.\t.")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_what_cannot_be_scored_is_left_out_and_counted(
    masked: LanguageModel, genome: Genome, bases: str, tmp_path: Path
) -> None:
    vcf = _vcf(tmp_path / "in.vcf", bases)
    with pytest.warns(UserWarning, match="left out") as seen:
        kept = list(scorable_variants(masked, TOKENIZER, vcf, genome))
    assert [v.start for v in kept] == [10, 30]
    text = "\n".join(str(warning.message) for warning in seen)
    assert "left out records or alleles: 1 of kind indel" in text
    assert "reads both ways scores substitutions alone, by masking their bases" in text
    assert "left out alleles: 1 that exchange N" in text


def test_indels_asked_for_are_refused(
    masked: LanguageModel, genome: Genome, bases: str, tmp_path: Path
) -> None:
    vcf = _vcf(tmp_path / "in.vcf", bases)
    checks = VariantChecks(kinds=["snv", "indel"])
    with pytest.raises(ValueError, match=r"checks\.kinds asks for indels"):
        list(scorable_variants(masked, TOKENIZER, vcf, genome, checks))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "in.vcf|.*left out")
        few = list(scorable_variants(masked, TOKENIZER, vcf, genome, VariantChecks(kinds=["snv"])))
    assert [v.start for v in few] == [10, 30]
