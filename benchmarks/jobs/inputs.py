"""What the jobs read: genome, regions, variants and sequences, random and the same each time."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import dnamamba

__all__ = ["FULL", "MODEL", "SMALL", "Inputs", "Sizes"]

MODEL = "vertebrate-0.5m"  # d_model 128, 4 layers
_SHARES = (0.4, 0.1, 0.1, 0.4)  # of A, C, G and T: 1.72 bits a base, which training has to find
_LINE = 80
_MOTIF = b"TATAAAAGGCGCGT"  # in each sequence of class 1
_INDELS = 20  # one variant in so many

Letters = NDArray[np.uint8]


@dataclass(frozen=True)
class Sizes:
    """How much each job works.

    Attributes:
        contigs: bases of each contig, whole lines; the last is short enough for one forward.
        regions: of ``region_bases`` bases each, to embed.
        mixed: regions of ``mixed_bases``, lengths spread evenly between the two.
        strings: to embed from Python, of ``region_bases``.
        predicted: sequences of 101 bases to label.
        labelled: sequences of 101 bases to train on.
        variants: to score.
        window: context of a variant.
        mutated: bases whose substitutions are scored, from ``mutagenesis_context`` bases on.
        drawn: bases to generate.
        steps: counted steps of a small training run; of a large one a part.
        shorter: by which the lengths of windows and the rows of a step are divided.
    """

    contigs: tuple[int, ...] = (12_000_000, 8_000_000, 4_800_000, 200_400)
    regions: int = 50_000
    region_bases: int = 512
    mixed: int = 20_000
    mixed_bases: tuple[int, int] = (100, 3_000)
    strings: int = 20_000
    predicted: int = 50_000
    labelled: int = 40_000
    variants: int = 28_998
    window: int = 1_024
    mutated: int = 1_000
    mutagenesis_context: int = 8_192
    drawn: int = 20_000
    steps: int = 150
    shorter: int = 1


FULL = Sizes()
SMALL = Sizes(
    contigs=(60_000, 30_000, 6_000),
    regions=60,
    mixed=30,
    mixed_bases=(100, 600),
    strings=40,
    predicted=60,
    labelled=640,
    variants=40,
    window=256,
    mutated=12,
    mutagenesis_context=512,
    drawn=300,
    steps=8,
    shorter=16,
)


class Inputs:
    """The files, each written when it is first asked for.

    Args:
        folder: where they go, and what the jobs write.
        sizes: how much there is.
        device: ``cuda`` or ``cpu``, where the jobs run.
    """

    def __init__(self, folder: Path, sizes: Sizes, device: str) -> None:
        self.folder, self.sizes, self.device = folder, sizes, device
        self._outputs = 0

    def output(self, name: str) -> Path:
        """A path that nothing has written to, in a folder of its own."""
        self._outputs += 1
        folder = self.folder / "out" / str(self._outputs)
        folder.mkdir(parents=True)
        return folder / name

    @cached_property
    def pretrained(self) -> "dnamamba.Pretrained":
        """The packaged model, loaded in this process."""
        return dnamamba.load(MODEL, self.device)

    @cached_property
    def bases(self) -> dict[str, Letters]:
        """Contig -> its letters."""
        rng = np.random.default_rng(14)
        return {f"chr{n}": _random(rng, size) for n, size in enumerate(self.sizes.contigs, 1)}

    def text(self, contig: str, start: int, end: int) -> str:
        return self.bases[contig][start:end].tobytes().decode()

    @cached_property
    def genome(self) -> Path:
        """All contigs as FASTA."""
        path = self.folder / "genome.fa"
        with path.open("wb") as file:
            for name, letters in self.bases.items():
                file.write(f">{name}\n".encode())
                lines = letters.reshape(-1, _LINE)
                ends = np.full((len(lines), 1), ord("\n"), np.uint8)
                file.write(np.concatenate([lines, ends], axis=1).tobytes())
        return path

    @cached_property
    def scaffolds(self) -> Path:
        """The same bases in contigs of 200 to 5,000, lengths spread evenly between the two."""
        path = self.folder / "scaffolds.fa"
        letters = np.concatenate(list(self.bases.values()))
        sizes = np.random.default_rng(20).integers(200, 5_001, len(letters) // 200)
        ends = np.cumsum(sizes)
        ends = ends[ends <= len(letters)]
        with path.open("wb") as file:
            for number, contig in enumerate(np.split(letters, ends)[:-1]):
                file.write(b">scaffold%d\n%s\n" % (number, contig.tobytes()))
        return path

    @cached_property
    def regions(self) -> Path:
        """Regions of one length, in no order, as BED."""
        sizes = self.sizes
        return self._bed("regions.bed", np.full(sizes.regions, sizes.region_bases))

    @cached_property
    def mixed(self) -> Path:
        """Regions of many lengths, in no order, as BED."""
        low, high = self.sizes.mixed_bases
        lengths = np.random.default_rng(15).integers(low, high + 1, self.sizes.mixed)
        return self._bed("mixed.bed", lengths)

    def _bed(self, name: str, lengths: NDArray[np.int64]) -> Path:
        path = self.folder / name
        rng = np.random.default_rng(16)
        with path.open("w") as file:
            for n, length in enumerate(lengths.tolist()):
                contig, start = self._place(rng, length)
                strand = "-" if n % 4 == 0 else "+"
                file.write(f"{contig}\t{start}\t{start + length}\tregion{n}\t0\t{strand}\n")
        return path

    def _place(self, rng: np.random.Generator, length: int) -> tuple[str, int]:
        contigs = self.sizes.contigs
        number = int(rng.choice(len(contigs), p=np.array(contigs) / sum(contigs)))
        return f"chr{number + 1}", int(rng.integers(contigs[number] - length + 1))

    @cached_property
    def variants(self) -> Path:
        """A VCF of SNVs all over the genome, in its order; a tenth are short indels."""
        rng = np.random.default_rng(17)
        total = sum(self.sizes.contigs)
        places = np.sort(rng.choice(total // 4, self.sizes.variants, replace=False)) * 4
        edges = np.cumsum([0, *self.sizes.contigs])
        numbers = np.searchsorted(edges, places, side="right") - 1
        path = self.folder / "variants.vcf"
        with path.open("w") as file:
            file.write("##fileformat=VCFv4.2\n")
            for name, letters in self.bases.items():
                file.write(f"##contig=<ID={name},length={len(letters)}>\n")
            file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
            for n, (number, place) in enumerate(
                zip(numbers.tolist(), places.tolist(), strict=True)
            ):
                at = place - int(edges[number])
                ref, alt = self._alleles(f"chr{number + 1}", at, n, rng)
                line = f"chr{number + 1}\t{at + 1}\trs{n}\t{ref}\t{alt}\t.\tPASS\tAF=0.5\n"
                file.write(line)
        return path

    def _alleles(self, contig: str, at: int, n: int, rng: np.random.Generator) -> tuple[str, str]:
        ref = self.text(contig, at, at + 1)
        if n % _INDELS == 1:
            return self.text(contig, at, at + 2), ref
        other = str(rng.choice(list("ACGT".replace(ref, ""))))
        return ref, ref + other if n % _INDELS == 2 else other

    def _sequences(self, n: int, length: int, seed: int) -> Iterator[Letters]:
        yield from _random(np.random.default_rng(seed), n * length).reshape(n, length)

    @cached_property
    def strings(self) -> list[str]:
        sizes = self.sizes
        rows = self._sequences(sizes.strings, sizes.region_bases, 18)
        return [row.tobytes().decode() for row in rows]

    @cached_property
    def short(self) -> Sequence[str]:
        """The sequences to label."""
        return [row.tobytes().decode() for row in self._sequences(self.sizes.predicted, 101, 19)]

    @cached_property
    def short_fasta(self) -> Path:
        path = self.folder / "short.fa"
        path.write_text("".join(f">s{n}\n{text}\n" for n, text in enumerate(self.short)))
        return path

    def labelled(self, name: str, n: int, seed: int) -> Path:
        """A CSV of n sequences of 101 bases, half of them with a motif somewhere."""
        path = self.folder / f"{name}.csv"
        rng = np.random.default_rng(seed)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sequence", "label"])
            for number, row in enumerate(self._sequences(n, 101, seed)):
                if number % 2:
                    at = int(rng.integers(101 - len(_MOTIF)))
                    row[at : at + len(_MOTIF)] = np.frombuffer(_MOTIF, np.uint8)
                writer.writerow([row.tobytes().decode(), number % 2])
        return path


def _random(rng: np.random.Generator, n: int) -> Letters:
    letters = np.frombuffer(b"ACGT", np.uint8)
    edges = np.cumsum(_SHARES)[:-1].astype(np.float32)
    return letters[np.searchsorted(edges, rng.random(n, dtype=np.float32), side="right")]
