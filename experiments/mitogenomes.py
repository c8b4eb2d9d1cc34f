"""One FASTA of all mitogenomes, each with its class and its group of relatives in the header.

Relatives are single-linkage clusters of shared 21-mers: of every genome the canonical 21-mers whose
hash is among the lowest 1/32 are kept, and two genomes are linked where the smaller of the two
sketches shares a quarter or more with the other. Bases that mutate independently with rate d leave
(1 - d)^21 of the 21-mers: a quarter is 6.4 % divergence, as within a genus or less.
"""

import gzip
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.labelled.examples import read_fasta
from dnamamba.files import replacing

__all__ = ["grouped_mitogenomes", "groups_of", "sketch"]

K = 21
KEPT = 32  # one k-mer of so many
SHARED = 0.25
CLASSES = ("amphibians", "birds", "fish", "mammals", "reptiles")

_CODE = np.full(256, 255, np.uint64)
_CODE[np.frombuffer(b"ACGT", np.uint8)] = range(4)
_CODE[np.frombuffer(b"acgt", np.uint8)] = range(4)


def grouped_mitogenomes(data: Path, output: Path) -> None:
    """Read the FASTA of each class below ``data``, write ``output`` (gzip)."""
    records = [
        (name, header.split()[0], bases)
        for name in CLASSES
        for header, bases in read_fasta(
            data / "species" / "vertebrate_mitogenomes" / f"{name}.fa.gz"
        )
    ]
    groups = groups_of([sketch(bases) for *_, bases in records])
    classes = defaultdict(set)
    for group, (name, *_) in zip(groups, records, strict=True):
        classes[group].add(name)
    sizes = Counter(groups)
    print(f"{len(records):,} genomes in {len(sizes):,} groups; the largest {max(sizes.values())}")
    print(f"groups of several classes: {sum(len(names) > 1 for names in classes.values())}")
    text = "".join(
        f">{id} class={name} group=g{group}\n{bases.decode()}\n"
        for group, (name, id, bases) in zip(groups, records, strict=True)
    )
    with replacing(output) as file:
        file.write(gzip.compress(text.encode(), 9, mtime=0))


def sketch(bases: bytes) -> NDArray[np.uint64]:
    """Hashes of the k-mers that are kept, sorted; the same for the reverse complement."""
    code = _CODE[np.frombuffer(bases, np.uint8)]
    n = len(code) - K + 1
    if n < 1:
        return np.empty(0, np.uint64)
    forward, reverse = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    for i in range(K):
        letter = code[i : i + n]
        forward = forward << np.uint64(2) | letter & np.uint64(3)
        reverse |= (np.uint64(3) - (letter & np.uint64(3))) << np.uint64(2 * i)
    unknown = np.convolve(code == 255, np.ones(K), "valid") > 0
    hashes = _mixed(np.minimum(forward, reverse)[~unknown])
    return np.unique(hashes[hashes < np.uint64(2**64 // KEPT)])


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3, a bijection."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> np.uint64(33)) * np.uint64(factor)
    return x ^ x >> np.uint64(33)


def groups_of(sketches: list[NDArray[np.uint64]]) -> list[int]:
    """The number of each genome's cluster: that of its first member."""
    parent = list(range(len(sketches)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    holders: defaultdict[int, list[int]] = defaultdict(list)
    for number, hashes in enumerate(sketches):
        shared: Counter[int] = Counter()
        for value in hashes.tolist():
            shared.update(holders[value])
            holders[value].append(number)
        for other, count in shared.items():
            if count >= SHARED * min(len(hashes), len(sketches[other])):
                first, second = sorted((root(number), root(other)))
                parent[second] = first
    return [root(i) for i in range(len(sketches))]
