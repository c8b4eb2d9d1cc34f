"""Batches divided among processes: the results of one, to the last bit."""

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import opinionated, reading_both_ways

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval
from dnamamba.inference.mutagenesis import mutate
from dnamamba.inference.sharing import ALONE, Share, dealt, divided, in_order
from dnamamba.inference.side_by_side import batches_ahead
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model.language_model import LanguageModel

CPU = torch.device("cpu")
MODELS = {"causal": opinionated, "both ways": reading_both_ways}
BASES = "".join(np.random.default_rng(3).choice(list("ACGTN"), 900, p=[0.24] * 4 + [0.04]))


class Thread:
    """A process that is none: what is gathered passes over a list."""

    def __init__(self, rank: int, size: int, given: list[Any], all_have: threading.Barrier) -> None:
        self.rank, self.size, self._given, self._all_have = rank, size, given, all_have

    def gather(self, mine: Any) -> list[Any]:
        self._given[self.rank] = mine
        self._all_have.wait(60)
        each = list(self._given)
        self._all_have.wait(60)
        return each


def by_all(size: int, work: Callable[[Share], Any]) -> list[Any]:
    """What each of so many processes is given."""
    given, all_have = [None] * size, threading.Barrier(size)

    def run(rank: int) -> Any:
        try:
            return work(Thread(rank, size, given, all_have))
        except BaseException:
            all_have.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))


def answers(x: int) -> Callable[[], int]:
    return lambda: -x


@pytest.mark.parametrize("number", [0, 1, 2, 7, 40])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_everybody_gets_everything_in_order(size: int, number: int) -> None:
    def work(share: Share) -> list[tuple[int, int]]:
        pairs = in_order(answers, range(number), lambda x: x + 1, CPU, share)
        return [(batch, answer()) for batch, answer in pairs]

    assert by_all(size, work) == [[(x, -x) for x in range(number)]] * size


def test_each_does_its_own_alone_and_nobody_much_more() -> None:
    costs = [90, 70, 60, 50, 40, 30, 20, 10, 10, 10]
    done: dict[int, list[int]] = {0: [], 1: [], 2: []}

    def work(share: Share) -> None:
        def note(number: int) -> Callable[[], int]:
            done[share.rank].append(number)
            return answers(number)

        divided(note, range(len(costs)), costs.__getitem__, CPU, share)

    by_all(3, work)
    assert sorted(number for own in done.values() for number in own) == list(range(len(costs)))
    loads = [sum(costs[number] for number in own) for own in done.values()]
    assert max(loads) - min(loads) <= 10
    assert {rank: sorted(own) for rank, own in done.items()} == {
        rank: [i for i, owner in enumerate(dealt(costs, 3)) if owner == rank] for rank in done
    }


def test_other_work_in_another_process_is_an_error() -> None:
    def work(share: Share) -> str:
        answer = divided(answers, range(4 + share.rank), lambda _: 1, CPU, share)[0]
        with pytest.raises(ValueError, match="the same model, files and settings"):
            answer()
        return "refused"

    assert by_all(2, work) == ["refused"] * 2


def test_batches_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def batches() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    pairs = in_order(answers, batches(), lambda _: 1, CPU, ALONE)
    assert next(pairs)[0] == 0
    assert len(taken) <= batches_ahead(CPU)


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    path = tmp_path / "g.fa"
    path.write_text("".join(f">c{i}\n{BASES[i:]}\n" for i in (0, 100, 350)))
    return Genome(path, cache_dir=tmp_path / "cache")


def _evaluated(genome: Genome, model: LanguageModel, share: Share) -> Any:
    tokenizer = Tokenizer()
    pieces = [
        Interval(genome, tokenizer, f"p{i}", "c0", 30 * i, 31 * i + 57, "+") for i in range(9)
    ]
    return evaluate(model, tokenizer, pieces, max_bases=300, overlap=20, share=share)


def _scored(genome: Genome, model: LanguageModel, share: Share) -> Any:
    at = [i for i, base in enumerate(BASES) if base != "N"]
    variants = [Variant("c0", i, BASES[i], "ACGT"["CGTA".index(BASES[i])]) for i in at[::40]]
    how = {"context": 60, "max_bases": 260, "share": share}
    return list(score_variants(model, Tokenizer(), genome, variants, **how))


def _mutated(genome: Genome, model: LanguageModel, share: Share) -> Any:
    how = {"context": 40, "max_bases": 400, "share": share}
    return mutate(model, Tokenizer(), genome, "c100", 20, 44, **how)


@pytest.mark.parametrize("work", [_evaluated, _scored, _mutated])
@pytest.mark.parametrize("kind", MODELS)
def test_results_are_those_of_one_process(
    kind: str, work: Callable[[Genome, LanguageModel, Share], Any], genome: Genome
) -> None:
    model = MODELS[kind]()
    expected = work(genome, model, ALONE)
    for found in by_all(2, lambda share: partial(work, genome, copy.deepcopy(model))(share)):
        assert plain(found) == plain(expected)


def plain(x: Any) -> Any:
    """For a comparison bit by bit, NaN included."""
    if isinstance(x, np.ndarray):
        return x.tobytes()
    return [plain(part) for part in x] if isinstance(x, list | tuple) else repr(x)
