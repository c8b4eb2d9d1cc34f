"""Pseudo-likelihood against a plain loop: one masked position of one unpadded sequence a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import reading_both_ways

from dnamamba.alphabet import MASK, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference import streaming
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval
from dnamamba.inference.scoring import score
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
TOKENIZER = Tokenizer()
SEQUENCES = ["GATTACANNCAGGTTTACGRAC", "C", "ACGTACGTTT", "NNN", "TTGACCANTAGA"]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "symmetric"])
def masked(request: pytest.FixtureRequest) -> LanguageModel:
    return reading_both_ways(symmetric=request.param)


def _plain(model: LanguageModel, text: str, every: int | None) -> float:
    tokens = torch.tensor(TOKENIZER.encode(text))
    known = [at for at, letter in enumerate(text) if letter in "ACGT"]
    total = 0.0
    for at in known:
        together = [x for x in known if x == at or (every and (x - at) % every == 0)]
        inputs = tokens.clone()
        inputs[together] = MASK
        with torch.no_grad():
            logits, _ = model(inputs[None])
        total += float(logits[0, at].log_softmax(-1)[int(tokens[at])])
    return total


@pytest.mark.parametrize("every", [None, 2, 5, 1000])
def test_each_base_is_masked_and_guessed(masked: LanguageModel, every: int | None) -> None:
    expected = [_plain(masked, text, every) for text in SEQUENCES]
    settings: Any
    for settings in ({}, {"batch_size": 5}, {"max_bases": 50}):
        got = score(masked, TOKENIZER, SEQUENCES, mask_every=every, **settings)
        np.testing.assert_allclose(got.log_likelihood, expected, **CLOSE)
        assert got.bases.tolist() == [19, 1, 10, 0, 11]


def test_the_default_is_close_to_one_base_at_a_time(masked: LanguageModel) -> None:
    random = np.random.default_rng(3)
    text = "".join(random.choice(list("ACGT"), 80))
    exact = score(masked, TOKENIZER, [text], mask_every=None, batch_size=40).bits_per_base[0]
    far = [
        abs(score(masked, TOKENIZER, [text], **settings).bits_per_base[0] - exact)
        for settings in ({}, {"mask_every": 2})
    ]
    assert far[0] < 0.02 * exact
    assert far[0] < 0.3 * far[1]


def test_only_n_scores_nothing(masked: LanguageModel) -> None:
    got = score(masked, TOKENIZER, ["N" * 50, "ACGT"])
    assert got.bases.tolist() == [0, 4]
    assert got.log_likelihood[0] == 0
    assert np.isnan(got.bits_per_base[0])
    assert np.isfinite(got.bits_per_base[1])


def test_both_strands_of_a_symmetric_model_are_alike() -> None:
    model = reading_both_ways(symmetric=True)
    text = "GATTACACAGGTTTACGACTTCAGG"
    flip = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    got = score(model, TOKENIZER, [text, flip], mask_every=None)
    assert got.log_likelihood[0] == pytest.approx(got.log_likelihood[1], rel=1e-5)


def test_windows_mask_the_same_bases_and_change_little(masked: LanguageModel) -> None:
    random = np.random.default_rng(1)
    text = "".join(random.choice(list("ACGT"), 250))
    whole = score(masked, TOKENIZER, [text], mask_every=8)
    windows = score(masked, TOKENIZER, [text], mask_every=8, max_bases=150, overlap=40)
    assert windows.bases == whole.bases
    np.testing.assert_allclose(windows.bits_per_base, whole.bits_per_base, rtol=1e-3)
    assert windows.log_likelihood[0] != whole.log_likelihood[0]


def test_regions_and_windows_of_a_genome(masked: LanguageModel, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    text = "".join(random.choice(list("ACGTN"), 90))
    (tmp_path / "g.fa").write_text(f">one\n{text}\n")
    genome = Genome(tmp_path / "g.fa")
    pieces = [Interval(genome, TOKENIZER, "a", "one", 0, 90)]
    pieces.append(Interval(genome, TOKENIZER, "b", "one", 10, 50, "-"))
    told: list[int] = []
    got = evaluate(masked, TOKENIZER, pieces, mask_every=4, advance=told.append)
    flip = text[10:50].translate(str.maketrans("ACGT", "TGCA"))[::-1]
    expected = score(masked, TOKENIZER, [text, flip], mask_every=4)
    np.testing.assert_allclose(got.log_likelihood, expected.log_likelihood, **CLOSE)
    assert sum(told) == 130
    cut = evaluate(masked, TOKENIZER, pieces[:1], mask_every=4, window=40)
    parts = score(masked, TOKENIZER, [text[:40], text[40:80], text[80:]], mask_every=4)
    assert cut.log_likelihood[0] == pytest.approx(parts.log_likelihood.sum(), rel=1e-5)


def test_a_batch_is_bounded_by_its_bases(
    masked: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    rows = streaming.read_rows

    def watched(backbone: Any, batch: Any, *rest: Any) -> Any:
        shapes.append((len(batch), max(map(len, batch))))
        return rows(backbone, batch, *rest)

    monkeypatch.setattr("dnamamba.inference.masked.read_rows", watched)
    score(masked, TOKENIZER, ["ACGT" * 30, "AC" * 7], mask_every=8, max_bases=300, batch_size=9)
    assert max(n * width for n, width in shapes) <= 300
    assert max(n for n, _ in shapes) == 8  # nine would do, but the short one has eight passes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask_every": 1}, "mask_every must be at least 2, got 1"),
        ({"mask_every": "4"}, "mask_every must be a whole number, got '4'"),
        ({"max_bases": 10, "overlap": 5}, r"overlap must be less than half of max_bases \(10\)"),
        ({"overlap": -1}, "overlap must be at least 0, got -1"),
    ],
)
def test_settings_out_of_range(masked: LanguageModel, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(masked, TOKENIZER, ["ACGT"], **settings)


def test_a_causal_model_masks_nothing(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="mask_every has no meaning for a causal model"):
        score(model, TOKENIZER, ["ACGT"], mask_every=8)


class _Maskless(Tokenizer):
    mask = None


@pytest.mark.parametrize("task", ["scoring"])
def test_without_a_mask_there_is_no_score(masked: LanguageModel, task: str) -> None:
    message = f"{task} masks the bases .* and the tokenizer 'nucleotide' has no mask"
    with pytest.raises(ValueError, match=message):
        score(masked, _Maskless(), ["ACGT"])


def test_a_backbone_alone_is_refused(masked: LanguageModel) -> None:
    with pytest.raises(ValueError, match=r"scoring needs a language model, got .*BiMamba"):
        score(masked.backbone, TOKENIZER, ["ACGT"])
