"""Processes that share work must have the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from models import opinionated

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.agreement import check_same
from dnamamba.commands.processes import World
from dnamamba.data.genome.fasta import Genome
from dnamamba.model.language_model import LanguageModel

Seen = tuple[LanguageModel, Genome, str]


class Third(World):
    """The last of three processes, of which the first two have seen the same."""

    before: dict[str, str]

    def gather(self, mine: Any) -> list[Any]:
        return [self.before, self.before, mine]


class First(World):
    """The first of several processes, which keeps what it is asked for."""

    own: Any = None

    def gather(self, mine: Any) -> list[Any]:
        First.own = mine
        return [mine] * self.size


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    """What a process has read."""
    (tmp_path / "g.fa").write_text(">a\nACGTACGT\n>b\nTT\n")
    (tmp_path / "r.bed").write_text("a\t0\t4\n")
    model, genome = opinionated(), Genome(tmp_path / "g.fa", cache_dir=tmp_path / "cache")
    check_same(First(0, 3), model, Tokenizer(), [genome], str(tmp_path / "r.bed"), None)
    return model, genome, str(tmp_path / "r.bed")


def _check(model: LanguageModel, genome: Genome, bed: str) -> None:
    third = Third(2, 3)
    object.__setattr__(third, "before", First.own)
    check_same(third, model, Tokenizer(), [genome], bed, None)


def test_the_same_is_no_error(seen: Seen) -> None:
    _check(*seen)


@pytest.mark.parametrize("other", ["kind of device", "model", "FASTA", "r.bed"])
def test_another_is_named(other: str, seen: Seen, tmp_path: Path) -> None:
    model, genome, bed = seen
    if other == "kind of device":
        First.own = {**First.own, other: "cuda"}
    elif other == "model":
        with torch.no_grad():
            next(model.parameters()).view(-1)[0] += 1
    elif other == "FASTA":  # the same bases in other contigs
        genome.path.write_text(">a\nACGTACG\n>b\nTTT\n")
        genome = Genome(genome.path, cache_dir=tmp_path / "other")
    else:
        Path(bed).write_text("a\t0\t5\n")
    with pytest.raises(ValueError, match=f"process 2 of 3 has another .*{other}"):
        _check(model, genome, bed)


def test_one_process_compares_nothing() -> None:
    check_same(World(0, 1), torch.nn.Identity(), Tokenizer(), [])
