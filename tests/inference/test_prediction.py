"""Predictions: the numbers of the module that was trained, whatever the batch and the chunks."""

import itertools
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.inference.prediction import Predictions, predict
from dnamamba.inference.sources import Encoded
from dnamamba.inference.strands import Opposite
from dnamamba.model import LanguageModel
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.model.pooling import POOLINGS
from dnamamba.model.strand import reverse_complement

CONFIG = MambaConfig(d_model=16, n_layers=2, d_state=4)
LABELS: dict[str, tuple[str, ...]] = {
    "binary": ("no", "yes"),
    "multiclass": ("a", "b", "c"),
    "multilabel": ("x", "y"),
    "regression": (),
}
VARIANTS = [
    ("ACGTTGCAAC", "G", "T", "TTGACG"),
    ("ACG", "GA", "G", "CCCGTTACGTA"),
    ("", "A", "ATTT", "C"),
    ("CCGA", "T", "C", ""),
]


def opinionated(model: torch.nn.Module) -> Any:
    for name, parameter in model.named_parameters():
        if name.startswith(("backbone.embedding", "head", "pooling")):
            torch.nn.init.normal_(parameter)
    return model.eval()


def classifier(kind: str = "multiclass", **settings: Any) -> Classifier:
    torch.manual_seed(0)
    head = HeadConfig(kind=kind, labels=LABELS[kind], **settings)  # type: ignore[arg-type]
    return opinionated(Classifier(CONFIG, head))  # type: ignore[no-any-return]


def variant_classifier(**settings: Any) -> VariantClassifier:
    torch.manual_seed(0)
    head = VariantHeadConfig(kind="binary", labels=("benign", "pathogenic"), **settings)
    return opinionated(VariantClassifier(CONFIG, head))  # type: ignore[no-any-return]


def padded(sequences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), int(lengths.max())), PAD, dtype=torch.uint8)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.from_numpy(Tokenizer().encode(sequence))
    return tokens, lengths


COMPLEMENT = torch.tensor(list(Tokenizer().complement_table), dtype=torch.uint8)


def same(a: Predictions, b: Predictions) -> None:
    assert a.labels == pytest.approx(b.labels, rel=1e-3) if not a.classes else a.labels == b.labels
    np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "both"), [*itertools.product(POOLINGS, [False, True])], ids=str
)
def test_it_says_what_the_module_says(pooling: str, both: bool, sequences: list[str]) -> None:
    model = classifier(pooling=pooling, both_strands=both)
    tokens, lengths = padded(sequences)
    with torch.no_grad():
        if both:
            outputs = model.both_strands(tokens, lengths, COMPLEMENT)
        else:
            outputs = model(tokens, lengths)
    for batch_size, chunk_length in ((16, 4096), (3, 64), (1, 7)):
        found = predict(
            model, Tokenizer(), sequences, batch_size=batch_size, chunk_length=chunk_length
        )
        expected = outputs.softmax(1)
        np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4, atol=1e-5)
        assert found.labels == ["abc"[i] for i in expected.argmax(1)]
        assert found.classes == ("a", "b", "c")
        assert np.ptp(found.probabilities[:, 0]) > 0.02


@pytest.mark.parametrize("kind", LABELS)
def test_every_kind_of_head(kind: str, sequences: list[str]) -> None:
    model = classifier(kind)
    if kind == "regression":
        model.head.mean.fill_(100)  # type: ignore[union-attr, operator]
    with torch.no_grad():
        values = model.head.probabilities(model(*padded(sequences)))
    found = predict(model, Tokenizer(), sequences)
    assert found.probabilities.shape == (len(sequences), len(LABELS[kind]))
    if kind == "regression":
        assert found.labels == pytest.approx(values[:, 0].tolist(), rel=1e-4)
    else:
        np.testing.assert_allclose(found.probabilities, values, rtol=1e-4, atol=1e-5)
        assert found.labels == model.head.decide(values, LABELS[kind])


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
@torch.no_grad()
def test_the_head_reads_the_embedding(pooling: Any, sequences: list[str]) -> None:
    """A fine-tuned model's vectors are those that ``embed`` gives."""
    model = classifier(pooling=pooling)
    vectors = torch.from_numpy(dnamamba.embed(model, Tokenizer(), sequences, pooling=pooling))
    expected = model(*padded(sequences))
    torch.testing.assert_close(model.head(vectors), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("region", "both"), [*itertools.product(["variant", "window"], [False, True])]
)
def test_variants(region: str, both: bool) -> None:
    model = variant_classifier(region=region, both_strands=both)
    windows = [side for left, ref, alt, right in VARIANTS for side in (left + ref + right, left + alt + right)]  # fmt: skip  # noqa: E501
    tokens, lengths = padded(windows)
    batch = tokens.view(4, 2, -1), lengths.view(4, 2), torch.tensor([len(v[0]) for v in VARIANTS])
    with torch.no_grad():
        right = torch.tensor([len(v[3]) for v in VARIANTS])
        outputs = model.both_strands(*batch, right, COMPLEMENT) if both else model(*batch)
    expected = model.head.probabilities(outputs)
    for batch_size, chunk_length in ((16, 4096), (3, 5), (1, 1)):
        found = predict(
            model, Tokenizer(), VARIANTS, batch_size=batch_size, chunk_length=chunk_length
        )
        np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4, atol=1e-5)
    other = predict(model, Tokenizer(), VARIANTS, both_strands=not both)
    assert not np.allclose(other.probabilities, expected, atol=1e-3)


def test_the_opposite_strand_piece_by_piece() -> None:
    source = Encoded(Tokenizer().encode("ACGTTGCAAN"))
    opposite = Opposite(source, Tokenizer())
    assert Tokenizer().decode(opposite.ids(0, 10)) == "NTTGCAACGT"
    assert Tokenizer().decode(opposite.ids(3, 7)) == "GCAA"
    assert len(opposite) == 10
    assert opposite.ids(4, 4).size == 0


def test_loaded_and_used_in_two_lines(tmp_path: Path, sequences: list[str]) -> None:
    model = classifier(both_strands=True)
    checkpoint.save(tmp_path / "model", model, Tokenizer())
    loaded = dnamamba.load(tmp_path / "model")
    same(loaded.predict(sequences), predict(model, Tokenizer(), sequences))
    assert loaded.embed(sequences).shape == (len(sequences), 16)
    with pytest.raises(
        ValueError, match=r"scoring needs a language model, got Classifier,.*fine-tuned from"
    ):
        loaded.score(sequences)
    with pytest.raises(ValueError, match="generating needs a language model, got Classifier"):
        loaded.generate("ACGT", length=3)


def test_mode_and_device_are_given_back(sequences: list[str]) -> None:
    model = classifier(dropout=0.5).train()
    first = predict(model, Tokenizer(), sequences)
    assert model.training
    assert model.head.dropout.training
    same(first, predict(model, Tokenizer(), sequences))


def test_bad_input_is_named(sequences: list[str]) -> None:
    model, variants = classifier(), variant_classifier()
    tokenizer = Tokenizer()
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="needs a fine-tuned model, got LanguageModel"):
        predict(LanguageModel(CONFIG), tokenizer, sequences)
    cases: list[tuple[Any, Any, str]] = [
        (model, [], "at least one sequence"),
        (model, "ACGT", "list of sequences"),
        (model, ["ACGT", ""], r"sequences\[1\] is empty"),
        (model, ["ACGT", "AC-T"], r"sequences\[1\], position 2"),
        (variants, [], "at least one variant"),
        (variants, ["ACGT"], r"variants\[0\] must be \(bases left"),
        (variants, [("A", "C", "G")], r"variants\[0\] must be \(bases left"),
        (variants, [VARIANTS[0], ("A", "", "G", "A")], r"variants\[1\]: an allele is empty"),
        (variants, [("A", "C", "<DEL>", "A")], r"variants\[0\], alternative, position 0"),
    ]
    with pytest.raises(ValueError, match="both_strands must be True or False, got 'no'"):
        predict(model, tokenizer, sequences, both_strands="no")  # type: ignore[arg-type]
    for network, inputs, message in cases:
        with pytest.raises(ValueError, match=message):
            predict(network, tokenizer, inputs)


@pytest.mark.parametrize("family", [BiMambaConfig, SymmetricBiMambaConfig])
def test_models_that_read_both_ways(family: Any, sequences: list[str]) -> None:
    """Of a symmetric model the head reads d_model features, not both halves."""
    config = family(d_model=16, n_layers=2, d_state=4)
    head = HeadConfig(kind="multiclass", labels=LABELS["multiclass"], both_strands=False)
    torch.manual_seed(0)
    model = opinionated(Classifier(config, head))
    texts = sequences[:6]
    with torch.no_grad():
        outputs = model(*padded(texts))
    expected = model.head.probabilities(outputs).numpy()
    for settings in ({}, {"max_bases": 701}, {"batch_size": 2}):
        got = predict(model, Tokenizer(), texts, **settings).probabilities  # type: ignore[arg-type]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    windows = predict(model, Tokenizer(), texts, max_bases=300, overlap=100).probabilities
    np.testing.assert_allclose(windows, expected, atol=2e-2)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_symmetric_model_reads_once_where_the_strands_agree(pooling: str) -> None:
    """Beside both strands averaged by hand."""
    config = SymmetricBiMambaConfig(d_model=16, n_layers=2, d_state=4)
    table = torch.tensor(list(Tokenizer().complement_table), dtype=torch.uint8)
    torch.manual_seed(0)
    settings: dict[str, Any] = {"pooling": pooling, "labels": ("no", "yes"), "kind": "binary"}
    rows = padded(["ACGTTGCAAC", "GATTACAGATTACA"])
    pairs = rows[0].view(1, 2, -1), rows[1].view(1, 2), torch.tensor([3]), torch.tensor([5])
    opposite = reverse_complement(*rows, table)
    for region in (None, "window", "variant"):
        model: Any
        if region is None:
            model = opinionated(Classifier(config, HeadConfig(**settings)))
            apart = model(*rows), model(opposite, rows[1])
            arguments: tuple[torch.Tensor, ...] = rows
        else:
            head = VariantHeadConfig(**settings, region=region)  # type: ignore[arg-type]
            model = opinionated(VariantClassifier(config, head))
            turned = opposite.view(1, 2, -1), pairs[1], pairs[3]
            apart = model(*pairs[:3]), model(*turned)
            arguments = pairs
        embedding = Mock(wraps=model.backbone.embedding.forward)
        model.backbone.embedding.forward = embedding
        with torch.no_grad():
            got = model.both_strands(*arguments, table)
        torch.testing.assert_close(got, (apart[0] + apart[1]) / 2, rtol=1e-5, atol=1e-5)
        once = pooling != "last" and region != "variant"
        assert embedding.call_count == (1 if once else 2)
        assert model.reads_once == once
