"""Causal models that read no start token, or two, and tokenizers whose id 0 is a base."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import reading_both_ways

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.embedding import embed
from dnamamba.inference.generation import generate
from dnamamba.inference.mutagenesis import BASES, mutate
from dnamamba.inference.scoring import score
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model.language_model import LanguageModel
from dnamamba.model.mamba import Mamba

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
SEQUENCES = ["GATTACANNCAGGTTTACG", "C", "ACGTACGTTT", "NAC", "TTGACCANTAGA"]


class ZeroBased(Tokenizer):
    """A user's table: A C G T N are 0 1 2 3 4, and 5 is the mask."""

    mask = 5
    base_ids = (0, 1, 2, 3)
    _ids = np.full(256, 255, dtype=np.uint8)
    _ids[list(b"ACGTNacgtn")] = [0, 1, 2, 3, 4] * 2
    table = _ids.tobytes()
    complement_table = bytes([3, 2, 1, 0, *range(4, 256)])
    scored = np.arange(256) < 4


class TwoStarts(Mamba):
    """Reads two tokens before a sequence."""

    start_tokens = (1, 2)


def _causal(kind: str) -> tuple[LanguageModel, Tokenizer]:
    torch.manual_seed(0)
    config = MambaConfig(d_model=16, n_layers=2, d_state=4, bos=1 if kind == "two" else None)
    model = LanguageModel(config).eval()
    if kind == "two":
        model.backbone.__class__ = TwoStarts
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
    return model, ZeroBased() if kind == "zero" else Tokenizer()


@pytest.fixture(scope="module", params=["none", "two", "zero"])
def causal(request: pytest.FixtureRequest) -> tuple[LanguageModel, Tokenizer]:
    return _causal(request.param)


def _log_p(model: LanguageModel, tokenizer: Tokenizer, text: str) -> list[float]:
    """Of each base given all before it; 0 where it is not scored."""
    start = model.backbone.start_tokens
    ids = [*start, *tokenizer.encode(text).tolist()]
    with torch.no_grad():
        log_p = model(torch.tensor([ids]))[0][0].log_softmax(-1)
    scored = tokenizer.scored
    return [
        float(log_p[at - 1, token]) if at > 0 and scored[token] else 0.0
        for at, token in enumerate(ids)
        if at >= len(start)
    ]


@pytest.mark.parametrize(
    "settings", [{}, {"batch_size": 2, "chunk_length": 1}, {"chunk_length": 4}]
)
def test_scores(causal: tuple[LanguageModel, Tokenizer], settings: Any) -> None:
    got = score(*causal, SEQUENCES, **settings)
    expected = [_log_p(*causal, text) for text in SEQUENCES]
    np.testing.assert_allclose(got.log_likelihood, [sum(x) for x in expected], **CLOSE)
    assert got.bases.tolist() == [sum(value != 0 for value in x) for x in expected]
    if not causal[0].backbone.start_tokens:
        assert got.bases[1] == 0
        assert np.isnan(got.bits_per_base[1])


def test_vectors(causal: tuple[LanguageModel, Tokenizer]) -> None:
    model, tokenizer = causal
    got = embed(model, tokenizer, SEQUENCES, pooling=None, chunk_length=1)
    for text, vectors in zip(SEQUENCES, got, strict=True):
        start = model.backbone.start_tokens
        tokens = torch.tensor([[*start, *tokenizer.encode(text).tolist()]])
        with torch.no_grad():
            hidden, _ = model.backbone(tokens)
        np.testing.assert_allclose(vectors, hidden[0, len(start) :], **CLOSE)


@pytest.fixture
def bases() -> str:
    return "GATTACAGATTACCAGGTTTACGACGTACATGACCATTGACC"


@pytest.fixture
def genome(tmp_path: Path, bases: str) -> Genome:
    (tmp_path / "ref.fa").write_text(f">one\n{bases}\n")
    return Genome(tmp_path / "ref.fa")


def _strand(
    causal: tuple[LanguageModel, Tokenizer], before: str, alleles: list[str], after: str
) -> float:
    sums = []
    for allele in alleles:
        each = _log_p(*causal, before + allele + after)[len(before) :]
        sums.append((sum(each), sum(value != 0 for value in each)))
    (s_ref, n_ref), (s_alt, n_alt) = sums
    if not (n_ref and n_alt):
        return np.nan
    return 2 * (n_ref * s_alt - n_alt * s_ref) / (n_ref + n_alt)


def _plain(
    causal: tuple[LanguageModel, Tokenizer], bases: str, v: Variant, context: int, flank: int
) -> list[float]:
    flip = str.maketrans("ACGT", "TGCA")
    left, right = bases[: v.start], bases[v.start + len(v.ref) :]
    turned = [x.translate(flip)[::-1] for x in (right, v.ref, v.alt, left)]
    strands = []
    for before, ref, alt, after in ([left, v.ref, v.alt, right], turned):
        prefix = before[max(0, len(before) - context) :]
        strands.append(_strand(causal, prefix, [ref, alt], after[:flank]))
    return strands


@pytest.mark.parametrize(("context", "flank"), [(100, 100), (5, 0), (0, 3), (0, 0)])
def test_variants(
    causal: tuple[LanguageModel, Tokenizer], genome: Genome, bases: str, context: int, flank: int
) -> None:
    last = len(bases) - 1
    variants = [Variant("one", 0, "G", "T"), Variant("one", 0, "G", "GCC")]
    variants += [Variant("one", 20, bases[20], "ACG"), Variant("one", last, bases[last], "G")]
    got = list(score_variants(*causal, genome, variants, context=context, flank=flank))
    expected = np.array([_plain(causal, bases, v, context, flank) for v in variants])
    np.testing.assert_allclose([[s.llr_forward, s.llr_reverse] for s in got], expected, **CLOSE)
    known = ~np.isnan(expected)
    mean = np.nansum(expected, 1) / np.where(known.any(1), known.sum(1), np.nan)
    np.testing.assert_allclose([s.llr for s in got], mean, **CLOSE)


@pytest.mark.parametrize("flank", [4, 0])
def test_mutagenesis(
    causal: tuple[LanguageModel, Tokenizer], genome: Genome, bases: str, flank: int
) -> None:
    for start, end in ((0, 3), (len(bases) - 2, len(bases))):
        got = mutate(*causal, genome, "one", start, end, flank=flank, batch_size=2)
        for at in range(start, end):
            for base in set(BASES) - {bases[at]}:
                variant = Variant("one", at, bases[at], base)
                (expected,) = score_variants(*causal, genome, [variant], flank=flank)
                column = BASES.index(base)
                rows = [x[at - start, column] for x in (got.llr, got.forward, got.reverse)]
                np.testing.assert_allclose(rows, expected[1:4], **CLOSE)


@pytest.mark.parametrize("kind", ["none", "two"])
def test_generation_takes_the_likeliest_base_of_a_full_pass(kind: str) -> None:
    model, tokenizer = _causal(kind)
    text = "GA"
    for letter in generate(model, tokenizer, text, length=5, temperature=0):
        ids = [*model.backbone.start_tokens, *tokenizer.encode(text).tolist()]
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0][0, -1, list(tokenizer.base_ids)]
        assert letter == BASES[int(logits.argmax())]
        text += letter


def test_generation_without_a_start_token_needs_a_prompt() -> None:
    with pytest.raises(ValueError, match="generating needs a prompt of at least one base"):
        generate(*_causal("none"), length=3)
    assert len(generate(*_causal("two"), length=3)) == 3


@pytest.mark.parametrize("symmetric", [False, True])
def test_id_0_is_a_base_for_masked_models_too(symmetric: bool, genome: Genome) -> None:
    sizes: dict[str, Any] = {"pad": None}
    if symmetric:
        sizes["complement"] = (3, 2, 1, 0, *range(4, 16))
    model, tokenizer = reading_both_ways(symmetric, **sizes), ZeroBased()
    together = score(model, tokenizer, SEQUENCES, mask_every=3)
    alone = [score(model, tokenizer, [x], mask_every=3) for x in SEQUENCES]
    np.testing.assert_allclose(
        together.log_likelihood, [x.log_likelihood[0] for x in alone], **CLOSE
    )
    assert together.bases.tolist() == [17, 1, 10, 2, 11]
    vectors = embed(model, tokenizer, SEQUENCES)
    each = [embed(model, tokenizer, [x])[0] for x in SEQUENCES]
    np.testing.assert_allclose(vectors, each, **CLOSE)
