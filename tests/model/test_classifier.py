"""Classifiers: padding, strands, alleles, and the hidden states that they read."""

import itertools

import pytest
import torch

from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.model.pooling import POOLINGS
from dnamamba.model.strand import reverse_complement

CONFIG = MambaConfig(d_model=16, n_layers=2, d_state=4)
COMPLEMENT = torch.tensor(list(Tokenizer().complement_table), dtype=torch.uint8)
SEQUENCES = ["ACGTTGCAAC", "G", "TTTACGNACGTA"]


def batch(sequences: list[str], width: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), max(width, *lengths)), PAD, dtype=torch.uint8)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.from_numpy(Tokenizer().encode(sequence))
    return tokens, lengths


def opinionated(model: torch.nn.Module) -> torch.nn.Module:
    for name, parameter in model.named_parameters():
        if name.startswith(("backbone.embedding", "head", "pooling")):
            torch.nn.init.normal_(parameter)
    return model.eval()


def classifier(pooling: str = "mean") -> Classifier:
    torch.manual_seed(0)
    settings = HeadConfig(kind="multiclass", labels=("a", "b", "c"), pooling=pooling)  # type: ignore[arg-type]
    model = opinionated(Classifier(CONFIG, settings))
    assert isinstance(model, Classifier)
    return model


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_padding_and_neighbours_have_no_effect(pooling: str) -> None:
    model = classifier(pooling)
    together = model(*batch(SEQUENCES, width=40))
    for row, sequence in enumerate(SEQUENCES):
        torch.testing.assert_close(model(*batch([sequence]))[0], together[row])
    assert not torch.allclose(together[0], together[2])


@torch.no_grad()
def test_it_reads_bos_and_pools_over_the_bases() -> None:
    model = classifier()
    tokens, lengths = batch(SEQUENCES[:1])
    hidden, _ = model.backbone(torch.cat([torch.full((1, 1), BOS), tokens.long()], 1))
    torch.testing.assert_close(model(tokens, lengths), model.head(hidden[:, 1:].mean(1)))


@torch.no_grad()
def test_an_empty_row_is_finite_and_harmless() -> None:
    tokens, lengths = batch(SEQUENCES)
    lengths[1], tokens[1] = 0, PAD
    for pooling in POOLINGS:
        model = classifier(pooling)
        outputs = model(tokens, lengths)
        assert outputs.isfinite().all()
        torch.testing.assert_close(outputs[[0, 2]], model(*batch(SEQUENCES))[[0, 2]])


def test_reverse_complement_leaves_padding_on_the_right() -> None:
    tokens, lengths = batch(SEQUENCES, width=15)
    turned = reverse_complement(tokens, lengths, COMPLEMENT)
    texts = [Tokenizer().decode(row[:n].numpy()) for row, n in zip(turned, lengths, strict=True)]
    assert texts == ["GTTGCAACGT", "C", "TACGTNCGTAAA"]
    assert torch.equal(turned == PAD, tokens == PAD)
    assert torch.equal(reverse_complement(turned, lengths, COMPLEMENT), tokens)


@torch.no_grad()
def test_both_strands_are_the_mean_and_symmetric() -> None:
    model = classifier()
    tokens, lengths = batch(SEQUENCES)
    turned = reverse_complement(tokens, lengths, COMPLEMENT)
    both = model.both_strands(tokens, lengths, COMPLEMENT)
    torch.testing.assert_close(both, (model(tokens, lengths) + model(turned, lengths)) / 2)
    torch.testing.assert_close(both, model.both_strands(turned, lengths, COMPLEMENT))
    assert not torch.allclose(both, model(tokens, lengths))


def variants(region: str, pooling: str = "mean") -> VariantClassifier:
    torch.manual_seed(0)
    settings = VariantHeadConfig(
        kind="binary",
        labels=("benign", "pathogenic"),
        region=region,  # type: ignore[arg-type]
        pooling=pooling,  # type: ignore[arg-type]
    )
    model = opinionated(VariantClassifier(CONFIG, settings))
    assert isinstance(model, VariantClassifier)
    return model


def alleles(pairs: list[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, lengths = batch([window for pair in pairs for window in pair])
    return tokens.view(len(pairs), 2, -1), lengths.view(-1, 2)


PAIRS = [("ACGTACGT", "ACGAACGT"), ("ACGTTT", "ACGTGGTTT"), ("ACGTACGT", "ACGCACGT")]
LEFT, RIGHT = torch.tensor([3, 3, 3]), torch.tensor([4, 2, 4])


@pytest.mark.parametrize(
    ("region", "pooling"), [*itertools.product(["variant", "window"], ["mean", "attention"])]
)
@torch.no_grad()
def test_the_head_compares_the_two_alleles(region: str, pooling: str) -> None:
    model = variants(region, pooling)
    tokens, lengths = alleles(PAIRS)
    outputs = model(tokens, lengths, LEFT)
    first = 3 if region == "variant" else 0
    for row, pair in enumerate(PAIRS):
        vectors = []
        for window in pair:
            one, _ = batch([window])
            hidden, _ = model.backbone(torch.cat([torch.full((1, 1), BOS), one.long()], 1))
            counts = torch.arange(len(window))[None] >= first
            vectors.append(model.pooling(hidden[:, 1:], counts))
        ref, alt = vectors
        expected = model.head(torch.cat([ref, alt - ref, alt * ref], 1))[0]
        torch.testing.assert_close(outputs[row], expected)


@torch.no_grad()
def test_alleles_on_both_strands() -> None:
    model = variants("variant")
    tokens, lengths = alleles(PAIRS)
    turned = reverse_complement(tokens, lengths, COMPLEMENT)
    both = model.both_strands(tokens, lengths, LEFT, RIGHT, COMPLEMENT)
    mean = (model(tokens, lengths, LEFT) + model(turned, lengths, RIGHT)) / 2
    torch.testing.assert_close(both, mean)
    opposite = model.both_strands(turned, lengths, RIGHT, LEFT, COMPLEMENT)
    torch.testing.assert_close(both, opposite)
