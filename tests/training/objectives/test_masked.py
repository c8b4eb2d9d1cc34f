"""Which bases are hidden, behind what, and what each weighs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from raw_batches import raw_batch
from torch import Tensor

from dnamamba.alphabet import MASK, PAD, Tokenizer
from dnamamba.config import BiMambaConfig
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.windows.settings import GenomeSplit
from dnamamba.training.objectives import Example, Masked
from dnamamba.training.pretrain import PretrainModule

ALL = 1 - 1e-12  # chooses every base, near enough


def example(batch: dict[str, Tensor], tokenizer: Tokenizer, **settings: Any) -> Example:
    return Masked(**settings).example(batch, tokenizer)


def long_batch(tokenizer: Tokenizer, rows: int = 16, length: int = 20_000) -> dict[str, Tensor]:
    bases = np.random.default_rng(0).choice(list(b"ACGTacgtNRUu"), rows * length)
    ids = tokenizer.encode(bases.astype(np.uint8).tobytes()).reshape(rows, length)
    return {"tokens": torch.from_numpy(ids), "index": torch.arange(rows)}


@pytest.mark.parametrize("name", ["nucleotide", "byte"])
def test_only_bases_are_chosen_and_only_the_chosen_count(name: str) -> None:
    tokenizer = Tokenizer(name)  # type: ignore[arg-type]
    batch, lower = raw_batch(tokenizer)
    made = Masked(share=ALL).example(batch, tokenizer, soft_mask_weight=0.25)
    ids = batch["tokens"].numpy()
    scored = tokenizer.scored[ids]
    weight = np.where(scored, np.where(lower, 0.25, 1), 0)
    np.testing.assert_array_equal(made.weight.numpy(), weight.astype(np.float32))
    np.testing.assert_array_equal(made.tokens.numpy()[~scored], ids[~scored])
    assert made.targets is batch["tokens"]
    assert made.lengths is batch["lengths"]
    assert made.tokens.dtype == torch.uint8
    assert made.weight.dtype == torch.float32

    some = Masked().example(batch, tokenizer, soft_mask_weight=0.25)
    chosen = some.weight > 0
    assert 0.1 < chosen.sum() / scored.sum() < 0.2
    assert torch.equal(some.tokens[~chosen], batch["tokens"][~chosen])
    np.testing.assert_array_equal(some.weight[chosen].numpy(), weight[chosen.numpy()])


@pytest.mark.parametrize("name", ["nucleotide", "byte"])
def test_shares_are_right_in_the_mean(name: str) -> None:
    tokenizer = Tokenizer(name)  # type: ignore[arg-type]
    batch = long_batch(tokenizer)
    made = example(batch, tokenizer)
    bases, chosen = batch["tokens"], made.weight > 0
    n = int(tokenizer.scored[bases.numpy()].sum())
    assert near(int(chosen.sum()), n, 0.15)
    masked = made.tokens == MASK
    assert not masked[~chosen].any()
    other = chosen & ~masked & (made.tokens != bases)
    k = int(chosen.sum())
    assert near(int(masked.sum()), k, 0.8)
    assert near(int(other.sum()), k, 0.1)
    # Each letter is replaced by each of the other three of its case alike.
    for letter in "ACGTUacgtu" if name == "byte" else "ACGT":
        token = int(tokenizer.encode(letter)[0])
        drawn = tokenizer.decode(made.tokens[other & (bases == token)].numpy())
        alphabet = "acgt" if letter.islower() else "ACGT"
        others = set(alphabet) - {letter, letter.replace("U", "T").replace("u", "t")}
        assert set(drawn) == others
        assert all(near(drawn.count(x), len(drawn), 1 / 3) for x in others)


def near(count: int, n: int, share: float) -> bool:
    """Within five standard deviations of a binomial."""
    return abs(count - n * share) < 5 * (n * share * (1 - share)) ** 0.5


def test_positions_rows_and_seeds_are_independent() -> None:
    batch = {"tokens": torch.full((64, 4096), 4, dtype=torch.uint8), "index": torch.arange(64)}
    made = [example(batch, Tokenizer(), share=0.5, seed=seed).weight for seed in (0, 1)]
    x = torch.stack(made).double() - 0.5
    for one, other in (
        (x[..., 1:], x[..., :-1]),  # neighbours
        (x[:, 1:], x[:, :-1]),  # samples that follow each other
        (x[0], x[1]),
        (x[:, 1:, :-1], x[:, :-1, 1:]),  # a shift by one from sample to sample
    ):
        assert abs(float((one * other).mean())) < 5 * 0.25 / one.numel() ** 0.5


def test_a_sample_is_masked_alike_in_any_batch_and_window_length() -> None:
    tokenizer = Tokenizer("byte")
    batch, _ = raw_batch(tokenizer)
    whole = example(batch, tokenizer, seed=9)
    rows = torch.tensor([40, 3, 3, 63])
    part = example({name: x[rows] for name, x in batch.items()}, tokenizer, seed=9)
    assert torch.equal(part.tokens, whole.tokens[rows])
    assert torch.equal(part.weight, whole.weight[rows])
    cut = {"tokens": batch["tokens"][:, :17], "index": batch["index"]}
    assert torch.equal(example(cut, tokenizer, seed=9).tokens, whole.tokens[:, :17])
    assert not torch.equal(example(batch, tokenizer, seed=8).tokens, whole.tokens)


def test_a_row_of_only_n_predicts_nothing() -> None:
    batch = {"tokens": torch.full((2, 40), 8, dtype=torch.uint8), "index": torch.arange(2)}
    made = example(batch, Tokenizer(), share=0.9)
    assert not made.weight.any()
    assert torch.equal(made.tokens, batch["tokens"])


def test_whatever_pads_counts_nothing_behind_the_length() -> None:
    batch = {
        "tokens": torch.full((2, 40), 4, dtype=torch.uint8),
        "index": torch.arange(2),
        "lengths": torch.tensor([7, 0]),
    }
    weight = example(batch, Tokenizer(), share=ALL).weight
    assert weight.sum(1).tolist() == [7, 0]
    assert weight[0, :7].all()


def test_every_epoch_masks_otherwise_and_validations_alike(samples: Path, tmp_path: Path) -> None:
    """Whatever the number of ranks, too: the numbers of the samples are the same."""
    data = GenomeDataModule(
        [str(samples / "phix174.fa")],
        length=128,
        global_batch_size=4,
        split=GenomeSplit(validation={"fraction": 0.3}, guard=0),  # type: ignore[arg-type]
        cache_dir=str(tmp_path / "cache"),
    )
    data.setup()
    train, validation = data.dataset("train"), data.dataset("validation")
    window = train.names(np.array([0]))[0].partition("(")[0]
    later = next(
        i
        for i in range(len(train), 9 * len(train))
        if train.names(np.array([i])) == train.names(np.array([0]))
    )
    first, second = (example(train[np.array([i])], Tokenizer()) for i in (0, later))
    assert torch.equal(first.targets, second.targets), window
    assert not torch.equal(first.weight, second.weight)
    runs = [example(validation[np.array([0, 1, -1])], Tokenizer()) for _ in range(2)]
    assert torch.equal(runs[0].tokens, runs[1].tokens)
    assert runs[0].weight.sum(1).bool().tolist() == [True, True, False]
    assert (runs[0].tokens[2] == PAD).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 0}, r"share must be between 0 and 1, got 0: .*nothing to predict"),
        ({"share": 1.0}, r"share must be between 0 and 1, got 1.0"),
        ({"share": float("nan")}, r"share must be between 0 and 1"),
        ({"share": "15 %"}, r"share must be a number, got '15 %'"),
        ({"share": True}, r"share must be a number, got True"),
        ({"mask": 0.9}, r"must sum to 1, got 0.9, 0.1, 0.1"),
        ({"mask": 1.1, "another": -0.2}, r"must sum to 1, got 1.1, -0.2"),
        ({"mask": 0, "another": 0, "kept": 1}, r"kept must be below 1: else no base is hidden"),
        ({"seed": -1}, r"seed must be 0 to 2\*\*63 - 1, got -1"),
        ({"seed": 0.5}, r"seed must be a number, got 0.5"),
        ({"shares": 1}, r"model\.objective masked_bases: .*'shares'"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainModule(
            BiMambaConfig(d_model=8, n_layers=1), objective={"name": "masked_bases", **settings}
        )


@dataclass(frozen=True)
class Maskless(Tokenizer):
    @property
    def mask(self) -> None:
        return None


def test_a_tokenizer_without_a_mask() -> None:
    sizes = BiMambaConfig(d_model=8, n_layers=1)
    with pytest.raises(ValueError, match=r"the nucleotide tokenizer has none; set .*mask to 0"):
        PretrainModule(sizes, Maskless())
    others = Masked(mask=0, another=0.9)
    assert PretrainModule(sizes, Maskless(), objective=others).objective == others
    batch = long_batch(Maskless(), 2, 2000)
    made = others.example(batch, Maskless())
    assert not (made.tokens == MASK).any()
    assert (made.tokens != batch["tokens"]).sum() / (made.weight > 0).sum() > 0.8


@pytest.mark.gpu
def test_a_gpu_masks_as_the_cpu() -> None:
    tokenizer = Tokenizer("byte")
    batch, _ = raw_batch(tokenizer)
    own = Masked().example(batch, tokenizer, 0.5)
    on_gpu = Masked().example({k: v.cuda() for k, v in batch.items()}, tokenizer, 0.5)
    assert torch.equal(own.tokens, on_gpu.tokens.cpu())
    assert torch.equal(own.weight, on_gpu.weight.cpu())
