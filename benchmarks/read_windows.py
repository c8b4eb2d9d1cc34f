"""Random windows of a 100-Mb FASTA as token ids: how many bases a second one process reads.

    python benchmarks/read_windows.py

A FASTA of ten contigs is made (seeded) in a temporary folder, plain and bgzip. Each way reads
the same windows in batches, page cache warm, one thread; the ways take turns, and each shows the
median of its rounds, by CPU time. ``pyfaidx`` is the common way at its best: ``as_raw`` strings
and ``bytes.translate``.
"""

import argparse
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pyfaidx
from Bio import bgzf
from harness import machine, print_table, write_results

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome

CONTIGS, LINE = 10, 60
LENGTHS = {1_000: 512, 16_000: 64, 131_000: 8, 1_000_000: 1}  # length -> windows in a batch
Way = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def make_fasta(folder: Path, size: int) -> tuple[Path, Path]:
    """A plain FASTA of ``size`` bases, half of them soft-masked, and its bgzip."""
    draw = np.random.default_rng(0)
    plain, packed = folder / "genome.fa", folder / "genome.fa.gz"
    length = size // CONTIGS // LINE * LINE
    with open(plain, "wb") as file:
        for number in range(CONTIGS):
            bases = np.frombuffer(b"ACGTacgt", np.uint8)[draw.integers(0, 8, length)]
            ends = np.full((length // LINE, 1), ord("\n"), np.uint8)
            file.write(b">chr%d\n" % number)
            file.write(np.hstack([bases.reshape(-1, LINE), ends]).tobytes())
    with bgzf.BgzfWriter(str(packed), compresslevel=1) as writer, open(plain, "rb") as file:
        shutil.copyfileobj(file, writer, 1 << 20)
    return plain, packed


def pyfaidx_way(fasta: pyfaidx.Fasta, tokenizer: Tokenizer) -> Way:
    """What most projects do, at its best: raw strings, one table look-up for a window."""

    def read(contigs: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        out = np.empty((len(starts), length), np.uint8)
        for row, contig, start in zip(out, contigs.tolist(), starts.tolist(), strict=True):
            raw = fasta[f"chr{contig}"][start : start + length].encode()
            row[:] = np.frombuffer(raw.translate(tokenizer.table), np.uint8)
        return out

    return read


def genome_way(genome: Genome, tokenizer: Tokenizer) -> Way:
    """The loader's way: a batch is read, then translated."""

    letters = genome.letters
    raw = np.empty(max(length * batch for length, batch in LENGTHS.items()), np.uint8)

    def read(contigs: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        bases = raw[: len(starts) * length].reshape(len(starts), length)
        genome.read_into(contigs, starts, length, bases)
        ids = np.empty_like(bases)
        tokenizer.encode_into(bases, ids, letters)
        return ids

    return read


def without_room(path: Path, cache: Path) -> Genome:
    """The genome as it is read when its cache finds no room."""
    usage = shutil.disk_usage(cache.parent)._replace(free=0)
    with mock.patch.object(shutil, "disk_usage", return_value=usage), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Genome(path, cache)


def measure(ways: dict[str, Way], length: int, batch: int, size: int, rounds: int) -> list[float]:
    """Median Mbp/s of each way."""
    draw = np.random.default_rng(length)
    batches = max(4, (1 << 25) // (length * batch))
    span = size // CONTIGS // LINE * LINE
    contigs = draw.integers(0, CONTIGS, (batches, batch))
    starts = draw.integers(0, span - length, (batches, batch))
    first = [way(contigs[0], starts[0], length) for way in ways.values()]
    if not all(np.array_equal(ids, first[0]) for ids in first):
        raise SystemExit("the ways disagree on the bases")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()
            for row, start in zip(contigs, starts, strict=True):
                way(row, start, length)
            seconds[name].append(time.process_time() - begin)
    bases = batches * batch * length
    return [bases / statistics.median(times) / 1e6 for times in seconds.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabases", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    size, tokenizer = options.megabases * 1_000_000, Tokenizer()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, packed = make_fasta(folder, size)
        begin = time.perf_counter()
        from_plain = Genome(plain, folder / "cache")
        built = time.perf_counter()
        from_packed = Genome(packed, folder / "cache")
        print(
            f"first opening: plain {built - begin:.1f} s, bgzip {time.perf_counter() - built:.1f} s"
        )
        with pyfaidx.Fasta(str(plain), as_raw=True) as fasta:
            ways = {
                "pyfaidx": pyfaidx_way(fasta, tokenizer),
                "plain": genome_way(from_plain, tokenizer),
                "bgzip": genome_way(from_packed, tokenizer),
                "no cache": genome_way(without_room(plain, folder / "other"), tokenizer),
            }
            rows = [
                [length, *measure(ways, length, batch, size, options.rounds)]
                for length, batch in LENGTHS.items()
            ]
    table = [
        [f"{row[0]:,}", *(f"{v:,.0f}" for v in row[1:]), f"{row[2] / row[1]:.1f}"] for row in rows
    ]
    columns = ["length", *(f"{name} Mbp/s" for name in ways), "plain / pyfaidx"]
    print_table("Random windows as token ids, one process, one thread", columns, table)
    write_results(
        "read_windows",
        {
            "machine": machine(),
            "megabases": options.megabases,
            "mbp_per_second": [dict(zip(["length", *ways], row, strict=True)) for row in rows],
        },
    )


if __name__ == "__main__":
    main()
