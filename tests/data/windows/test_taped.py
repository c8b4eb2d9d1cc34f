"""Batches of a tape against its pieces, fetched and encoded by hand; where sequence breaks."""

from pathlib import Path

import numpy as np
import pytest

from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.samples.order import lane_batches
from dnamamba.data.windows.regions import Contigs, Regions
from dnamamba.data.windows.stretches import stretches
from dnamamba.data.windows.tape import Tape
from dnamamba.data.windows.taped import TapeDataset

LENGTH = 16


def genomes(folder: Path, **contents: dict[str, str]) -> dict[str, Genome]:
    for name, contigs in contents.items():
        text = "".join(f">{contig}\n{bases}\n" for contig, bases in contigs.items())
        (folder / f"{name}.fa").write_text(text)
    return {name: Genome(folder / f"{name}.fa") for name in contents}


def contigs_of(made: dict[str, Genome]) -> Contigs:
    return Contigs.of({name: genome.contigs for name, genome in made.items()})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Genome]:
    draw = np.random.default_rng(0)

    def bases(n: int) -> str:
        return "".join(draw.choice(list("ACGTacgtnNRyU"), n))

    return genomes(
        tmp_path_factory.mktemp("genomes"),
        one={"a": bases(300), "b": bases(7)},
        two={"c": bases(61), "d": bases(1)},
    )


def dataset(made: dict[str, Genome], lanes: int, tokenizer: Tokenizer, **options) -> TapeDataset:
    contigs, once = contigs_of(made), options.pop("once", False)
    tape = Tape(contigs.whole, LENGTH, lanes, 3, not once, not once, once)
    return TapeDataset(list(made.values()), contigs, tape, tokenizer, **options)


@pytest.mark.parametrize("name", ["nucleotide", "byte"])
@pytest.mark.parametrize(("lanes", "once"), [(1, False), (4, False), (3, True)])
def test_batches_are_those_read_by_hand(
    made: dict[str, Genome], name: str, lanes: int, once: bool
) -> None:
    tokenizer = Tokenizer(name)  # type: ignore[arg-type]
    source = dataset(made, lanes, tokenizer, once=once, soft_mask=True, carried=lanes > 1)
    index = np.arange(len(source) if once else 40)
    batch = {name: x.numpy() for name, x in source[index].items()}
    assert ("lengths" in batch) == once
    assert ("before" in batch) == ("lane" in batch) == (lanes > 1)
    pieces = source.tape.pieces(index)
    lower = np.unpackbits(batch["soft_mask"], axis=1)[:, :LENGTH].astype(bool)
    whole = {contig: (genome, contig) for genome in made.values() for contig in genome.contigs}
    last: dict[int, int] = {}
    for row in index:
        ids, masked, begins = [], [], []
        for _, contig, start, length, reverse, anew in zip(
            *pieces.take(pieces.row == row), strict=True
        ):
            genome, called = whole[source.contigs.names[contig]]
            bases = genome.fetch(called, start, start + length)
            encoded, soft = tokenizer.encode(bases), tokenizer.soft_mask(bases)
            if reverse:
                encoded, soft = tokenizer.reverse_complement(encoded), soft[::-1]
            ids += encoded.tolist()
            masked += soft.tolist()
            begins += [bool(anew)] + [False] * (length - 1)
        padding = LENGTH - len(ids)
        np.testing.assert_array_equal(batch["tokens"][row], [*ids, *[PAD] * padding])
        np.testing.assert_array_equal(batch["resets"][row], [*begins, *[False] * padding])
        np.testing.assert_array_equal(lower[row][: len(ids)], masked)
        if lanes > 1:
            lane = row % lanes
            assert batch["lane"][row] == lane
            if ids:
                assert batch["before"][row] == (BOS if begins[0] else last[lane])
                last[lane] = ids[-1]
        if not any(begins):
            assert "resets" not in source[np.array([row])]
    if once:
        assert batch["lengths"].sum() == 369


def test_names_tell_the_pieces(made: dict[str, Genome]) -> None:
    source = dataset(made, 1, Tokenizer(), once=True)
    assert source.describe(np.array([0, 18, -1])) == [
        "one a:0-16(+)",
        "one a:288-300(+) + one b:0-4(+)",
        "an empty row",
    ]


def test_sequence_breaks_at_runs_of_n(tmp_path: Path) -> None:
    """And at the ends of contigs, over which a run may go on; not where regions touch."""
    made = genomes(
        tmp_path,
        one={
            "a": "A" * 20 + "N" * 9 + "C" * 5 + "N" * 10 + "G" * 8 + "N" * 12,
            "b": "n" * 15 + "T",
        },
        two={"c": "NRYN" * 3, "d": "ACGT"},
    )
    contigs = contigs_of(made)
    found = stretches(contigs.whole, made, contigs)
    spans = [f"{contigs.names[c]}:{s}-{e}" for c, s, e in zip(*found, strict=True)]
    assert spans == ["a:0-34", "a:44-52", "b:15-16", "d:0-4"]
    halves = Regions(*(np.array(x) for x in ([0, 0, 3], [3, 10, 1], [10, 50, 3])))
    found = stretches(halves, made, contigs)
    spans = [f"{contigs.names[c]}:{s}-{e}" for c, s, e in zip(*found, strict=True)]
    assert spans == ["a:3-34", "a:44-50", "d:1-3"]


@pytest.mark.parametrize(("lanes", "batch", "world"), [(5, 2, 1), (5, 2, 2), (7, 8, 3), (4, 4, 1)])
def test_held_out_lanes_stay_in_their_rows(lanes: int, batch: int, world: int) -> None:
    ranks = [list(lane_batches(lanes, 3, batch, rank, world)) for rank in range(world)]
    assert len({len(own) for own in ranks}) == 1
    read = np.concatenate([index for own in ranks for index in own])
    assert sorted(read[read >= 0]) == list(range(3 * lanes))
    for own in ranks:
        for k in range(0, len(own), 3):
            first = own[k]
            for step in range(1, 3):
                expected = np.where(first >= 0, first + step * lanes, -1)
                np.testing.assert_array_equal(own[k + step], expected)
