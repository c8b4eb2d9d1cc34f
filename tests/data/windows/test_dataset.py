"""Batches against one window at a time, read and encoded by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples.loader import SampleLoader
from dnamamba.data.samples.order import held_out_batches, training_batches
from dnamamba.data.windows.build import make_plans
from dnamamba.data.windows.dataset import WindowDataset
from dnamamba.data.windows.plan import Plans
from dnamamba.data.windows.settings import GenomeSplit, WindowConfig
from dnamamba.training.objectives import base_weights

LENGTH = 64


@pytest.fixture(scope="module")
def genomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Genome]:
    """Three contigs in two genomes: soft-masked stretches, N, IUPAC codes, U, odd lengths."""
    folder, draw = tmp_path_factory.mktemp("genomes"), np.random.default_rng(0)

    def bases(n: int) -> str:
        letters = np.array(list("ACGTacgtNnRyU"))
        odds = np.array([6, 6, 6, 6, 4, 4, 4, 4, 1, 1, 0.2, 0.2, 0.2])
        return "".join(draw.choice(letters, n, p=odds / odds.sum()))

    contents = {"one": {"a": bases(1000), "b": bases(333)}, "two": {"c": bases(777)}}
    for name, contigs in contents.items():
        text = "".join(f">{contig}\n{sequence}\n" for contig, sequence in contigs.items())
        (folder / f"{name}.fa").write_text(text)
    return {name: Genome(folder / f"{name}.fa") for name in contents}


def plans(genomes: dict[str, Genome], **options) -> Plans:
    windows = {"max_ambiguous": 1.0, "short": "pad", "tail": "pad", "stride": 48, **options}
    return make_plans(genomes, LENGTH, WindowConfig(**windows), GenomeSplit(), seed=5)


def by_hand(
    genomes: dict[str, Genome], plans: Plans, split: str, index: Sequence[int], tokenizer: Tokenizer
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and lower case (B, L), one window at a time, the minus strand by ``fetch``."""
    ids = np.full((len(index), LENGTH), PAD, np.uint8)
    lower = np.zeros((len(index), LENGTH), np.bool_)
    for row, i in enumerate(index):
        if i < 0:
            continue
        place = [int(column[0]) for column in plans.of(split).samples(np.array([i]))]
        contig, start, length, reverse = place
        genome = genomes[plans.contigs.genomes[plans.contigs.genome[contig]]]
        name = plans.contigs.names[contig]
        bases = genome.fetch(name, start, start + length)
        encoded, masked = tokenizer.encode(bases), tokenizer.soft_mask(bases)
        if reverse:
            encoded, masked = tokenizer.reverse_complement(encoded), masked[::-1]
        ids[row, :length], lower[row, :length] = encoded, masked
    return ids, lower


def dataset(
    genomes: dict[str, Genome], plans: Plans, split: str, tokenizer: Tokenizer, **options
) -> WindowDataset:
    opened = list(genomes.values())
    return WindowDataset(opened, plans.contigs, plans.of(split), tokenizer, **options)


@pytest.mark.parametrize("name", ["nucleotide", "byte"])
@pytest.mark.parametrize("soft_mask", [False, True])
def test_training_batches_are_those_read_by_hand(genomes, name, soft_mask) -> None:
    tokenizer, planned = Tokenizer(name), plans(genomes)
    source = dataset(genomes, planned, "train", tokenizer, soft_mask=soft_mask)
    reversed_short = 0
    for start in range(0, 3 * len(source), 16):
        index = np.arange(start, start + 16)
        batch = source[index]
        ids, lower = by_hand(genomes, planned, "train", index.tolist(), tokenizer)
        np.testing.assert_array_equal(batch["tokens"].numpy(), ids)
        np.testing.assert_array_equal(batch["index"].numpy(), index)
        np.testing.assert_array_equal(batch["lengths"].numpy(), (ids != PAD).sum(1))
        assert ("soft_mask" in batch) == soft_mask
        if soft_mask:
            unpacked = np.unpackbits(batch["soft_mask"].numpy(), axis=1)[:, :LENGTH]
            np.testing.assert_array_equal(unpacked.astype(bool) & (ids != PAD), lower)
        found = planned.of("train").samples(index)
        reversed_short += int((found.reverse & (found.length < LENGTH)).sum())
    assert reversed_short > 0  # or the test has not seen what it should


def test_empty_rows_are_padding_only(genomes) -> None:
    planned = plans(genomes)
    source = dataset(genomes, planned, "predict", Tokenizer(), padded=True)
    batch = source[np.array([0, -1, 1])]
    assert (batch["tokens"][1] == PAD).all()
    assert batch["lengths"].tolist() == [LENGTH, 0, LENGTH]
    ids, _ = by_hand(genomes, planned, "predict", [0, -1, 1], Tokenizer())
    np.testing.assert_array_equal(batch["tokens"].numpy(), ids)


def test_no_lengths_where_every_row_is_full(genomes) -> None:
    source = dataset(genomes, plans(genomes, tail="shift", short="drop"), "train", Tokenizer())
    assert "lengths" not in source[np.arange(8)]


def test_only_bytes_and_numbers_of_samples_cross_a_process(genomes) -> None:
    source = dataset(genomes, plans(genomes), "train", Tokenizer(), soft_mask=True)
    kinds = {name: tensor.dtype for name, tensor in source[np.arange(4)].items()}
    per_row = {"index": torch.int64, "lengths": torch.int64}
    assert kinds == {"tokens": torch.uint8, "soft_mask": torch.uint8, **per_row}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_change_nothing_and_draw_nothing(genomes, num_workers: int) -> None:
    planned = plans(genomes)
    source = dataset(genomes, planned, "train", Tokenizer())
    loader = SampleLoader(source, lambda: training_batches(40, 8), 6, num_workers)
    before = torch.get_rng_state()
    batches = list(loader)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(batches) == len(loader) == 6
    for step, batch in enumerate(batches):
        index = list(range(40 + 8 * step, 48 + 8 * step))
        ids, _ = by_hand(genomes, planned, "train", index, Tokenizer())
        assert batch["index"].tolist() == index
        np.testing.assert_array_equal(batch["tokens"].numpy(), ids)


def test_each_iteration_asks_where_to_begin(genomes) -> None:
    source = dataset(genomes, plans(genomes), "train", Tokenizer())
    position = iter([0, 100])
    loader = SampleLoader(source, lambda: training_batches(next(position), 4), 1)
    assert [next(iter(loader))["index"][0].item() for _ in range(2)] == [0, 100]


def test_the_ranks_read_the_held_out_part_once(genomes) -> None:
    planned = plans(genomes)
    source = dataset(genomes, planned, "predict", Tokenizer(), padded=True)
    n, seen = len(source), []
    for rank in range(3):
        for index in held_out_batches(n, 4, rank, 3):
            batch = source[index]
            weight = base_weights(batch, Tokenizer())
            assert (weight[batch["index"] < 0] == 0).all()
            seen += [(batch["index"].numpy(), weight.sum().item())]
    everything = "".join(
        genome.fetch(contig, 0, length).decode()
        for genome in genomes.values()
        for contig, length in genome.contigs.items()
    )
    scored = sum(everything.upper().count(letter) for letter in "ACGTU")
    assert sum(weight for _, weight in seen) == scored


def test_a_spawned_worker_reads_the_same(genomes) -> None:
    """The dataset travels by pickle where processes are not forked."""
    source = dataset(genomes, plans(genomes), "train", Tokenizer())
    loader = DataLoader(
        source,
        batch_size=None,
        sampler=[np.arange(8)],
        num_workers=1,
        multiprocessing_context="spawn",
    )
    (batch,) = loader
    assert torch.equal(batch["tokens"], source[np.arange(8)]["tokens"])
