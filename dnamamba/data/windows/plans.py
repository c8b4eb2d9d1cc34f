"""The windows of a run's parts: training, validation, test, and all that is usable."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.plan import WindowPlan
from dnamamba.data.windows.regions import Contigs

__all__ = ["Plans"]

_SLAB = 4096  # windows looked up together
_PLACES = (
    "places of the windows, which stride, tail, short, max_ambiguous, include, exclude and split "
    "decide"
)


@dataclass(frozen=True)
class Plans:
    """The windows of a run.

    Attributes:
        genomes: name -> genome.
        contigs: of all genomes; the plans' contig numbers refer to it.
        plans: ``train``, ``validation``, ``test`` and ``predict`` (all that is usable).
        report: one line a part: windows, bases, and what was left out and why.
    """

    genomes: Mapping[str, Genome]
    contigs: Contigs
    plans: Mapping[str, WindowPlan]
    report: tuple[str, ...]

    def of(self, split: str) -> WindowPlan:
        """The plan of one part.

        Raises:
            ValueError: no such part.
        """
        try:
            return self.plans[split]
        except KeyError:
            raise ValueError(
                f"split must be one of {', '.join(self.plans)}, got {split!r}"
            ) from None

    def places(self, split: str) -> Iterator[tuple[int, str, int, int]]:
        """Genome number, contig, start and end of each window of a part, in their order."""
        tiling = self.of(split).tiling
        for first in range(0, len(tiling), _SLAB):
            windows = tiling.places(np.arange(first, min(first + _SLAB, len(tiling))))
            for contig, start, length in zip(*(column.tolist() for column in windows), strict=True):
                genome = int(self.contigs.genome[contig])
                yield genome, self.contigs.names[contig], start, start + length

    def bases(self, split: str) -> Iterator[bytes]:
        """The bases of each window of a part once, in their order, from the plus strand."""
        genomes = list(self.genomes.values())
        for genome, contig, start, end in self.places(split):
            yield genomes[genome].fetch(contig, start, end)

    def digest(self, split: str) -> str:
        """A hash of where a part's windows lie."""
        tiling = self.of(split).tiling
        digest = hashlib.blake2b(digest_size=8)
        for column in (tiling.contig, tiling.first, tiling.end, tiling.count):
            digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()

    def check(self, tokenizer: Tokenizer) -> None:
        """Refuse at once what the tokenizer's policy would refuse in some window later.

        Raises:
            ValueError: names the genome, the contig, the position and the flag.
        """
        used = np.unique(self.of("predict").tiling.contig)
        for number, genome in enumerate(self.genomes.values()):
            own = used[self.contigs.genome[used] == number]
            genome.check(tokenizer, [self.contigs.names[contig] for contig in own])

    def identity(self) -> dict[str, Any]:
        """All that decides which bases the i-th training sample has; plain types."""
        plan, bases = self.of("train"), hashlib.blake2b(digest_size=8)
        for genome in self.genomes.values():
            bases.update(json.dumps([genome.digest, genome.contigs]).encode())
        return {
            "bases of the genomes": bases.hexdigest(),
            _PLACES: self.digest("train"),
            "samples of each genome": list(plan.quota),
            "length": plan.tiling.length,
            "seed": plan.seed,
            "shuffle": plan.shuffle,
            "reverse_complement": plan.flip,
        }
