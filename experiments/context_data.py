"""The data of the experiments on context: one folder, small enough to be taken along.

    bacteria/ yeasts/ vertebrates/   one bgzip FASTA a species, and heldout.bed
    joined/                          two records a species, made of these by ``join``

Contigs keep their bases and lose their case; a name is the species', a dot, and what it was. What
is held out is whole records: of the vertebrates two chunks of orthologs, of the yeasts whole
chromosomes, of the bacteria the first bases of the chromosome, with a gap behind them. E. coli and
Salmonella are alike there, gene by gene, so that a gene held out of one is held out of both.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from context_plan import GROUPS

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.examples import read_fasta
from dnamamba.files import replacing

__all__ = ["Contig", "contigs_of", "index", "join", "prepare", "spanning"]

HELD_OUT_CHUNKS = ("54", "86")
# In this order, until a species has enough. Chunks 1, 2 and 3 overlap, and stand on one side.
TRAINED_CHUNKS = ("30", "47", "80", "27", "57", "1", "2", "3")
BACTERIA = {
    "escherichia": "escherichia_coli.K12_MG1655",
    "salmonella": "salmonella_enterica.LT2",
    "staphylococcus": "staphylococcus_aureus.USA300",
}
HELD_OUT, GAP = 1_200_000, 1_000  # bases of each bacterium
YEASTS = {
    "saccharomyces": ("saccharomyces_cerevisiae.R64", ("IV", "XIV")),
    "schizosaccharomyces": ("schizosaccharomyces_pombe.ASM294v2", ("III",)),
}
LEAST = 1_000_000  # bases of a yeast's chromosome; shorter records are organelles and the like
LEAST_OF = {"saccharomyces": 200_000}
JOINT = b"N" * 100  # between contigs that are laid end to end
BED = "heldout.bed"
JOINTS = "joined/joints.json"


class Contig(NamedTuple):
    """A record to be written."""

    name: str
    bases: bytes
    held_out: bool


def prepare(source: Path, output: Path, train: int) -> None:
    """Write the folder.

    Args:
        source: with ``vertebrates/``, their ``chunks.tsv``, and ``genomes/``.
        output: the folder.
        train: bases to train on of each vertebrate and yeast: contigs are taken until there are so
            many.
    """
    for group, species in GROUPS.items():
        held_out = []
        for name in species:
            contigs = list(_contigs(source, group, name, train))
            _write(output / group / f"{name}.fa.gz", contigs)
            held_out += [f"{c.name}\t0\t{len(c.bases)}\n" for c in contigs if c.held_out]
            sides = [sum(len(c.bases) for c in contigs if c.held_out == side) for side in (0, 1)]
            print(f"{name}: {sides[0]:,} bases to train on, {sides[1]:,} held out", flush=True)
        with replacing(output / group / BED) as file:
            file.write("".join(held_out).encode())


def _contigs(source: Path, group: str, name: str, train: int) -> Iterator[Contig]:
    if group == "vertebrates":
        yield from _vertebrate(source / "vertebrates", name, train)
    elif group == "bacteria":
        contig, bases = next(iter(read_fasta(source / "genomes" / f"{BACTERIA[name]}.fa.gz")))
        contig, whole = contig.split()[0].split("|")[-2 if "|" in contig else 0], bases.upper()
        for start, end in ((0, HELD_OUT), (HELD_OUT + GAP, len(whole))):
            yield Contig(f"{name}.{contig}_{start}_{end}", whole[start:end], start == 0)
    else:
        file, held_out = YEASTS[name]
        least, taken = LEAST_OF.get(name, LEAST), 0
        for header, bases in read_fasta(source / "genomes" / f"{file}.fa.gz"):
            contig = header.split()[0]
            if contig in held_out or (len(bases) >= least and taken < train):
                taken += 0 if contig in held_out else len(bases)
                yield Contig(f"{name}.{contig}", bases.upper(), contig in held_out)


def _vertebrate(folder: Path, name: str, train: int) -> Iterator[Contig]:
    with (folder / "chunks.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    chunk = {row["contig"]: row["chunk"] for row in rows if row["assembly"] == name}
    records = {h.split()[0]: bases for h, bases in read_fasta(folder / f"{name}.fa.gz")}
    taken = 0
    for number in (*HELD_OUT_CHUNKS, *TRAINED_CHUNKS):
        held_out = number in HELD_OUT_CHUNKS
        if not held_out and taken >= train:
            return
        for contig in (contig for contig, own in chunk.items() if own == number):
            taken += 0 if held_out else len(records[contig])
            yield Contig(f"{name}.{contig}", records[contig].upper(), held_out)


def _write(path: Path, contigs: list[Contig], width: int = 1 << 16) -> None:
    from Bio import bgzf  # which the machine that trains need not have

    with replacing(path) as file:
        writer = bgzf.BgzfWriter(fileobj=file, compresslevel=9)
        for contig in contigs:
            lines = (contig.bases[i : i + width] for i in range(0, len(contig.bases), width))
            writer.write(b"\n".join((f">{contig.name}".encode(), *lines, b"")))
        writer.flush()
        file.write(bgzf._bgzf_eof)


def contigs_of(folder: Path, group: str, held_out: bool) -> Iterator[tuple[Genome, str]]:
    """Every contig of a side of a group, species by species."""
    names = {line.split("\t")[0] for line in (folder / group / BED).read_text().splitlines()}
    for species in GROUPS[group]:
        genome = Genome(folder / group / f"{species}.fa.gz")
        for contig in genome.contigs:
            if (contig in names) == held_out:
                yield genome, contig


def index(folder: Path) -> None:
    """Index all genomes, once, before several processes ask for them."""
    for path in sorted(folder.glob("*/*.fa*")):
        Genome(path)


def join(folder: Path) -> None:
    """Lay the contigs of each side of each species end to end, with N between them.

    Windows of a million bases are longer than many contigs, and some species would have none.
    """
    joints: dict[str, dict[str, Any]] = {}
    for group, species in GROUPS.items():
        sides: defaultdict[str, list[bytes]] = defaultdict(list)
        for held_out, side in ((False, "train"), (True, "test")):
            for genome, contig in contigs_of(folder, group, held_out):
                bases = genome.fetch(contig, 0, genome.contigs[contig])
                sides[f"{contig.partition('.')[0]}.{side}"].append(bases)
        for name in species:
            with replacing(folder / "joined" / f"{name}.fa") as file:
                for record in (f"{name}.train", f"{name}.test"):
                    joined = JOINT.join(sides[record])
                    file.write(b">%s\n%s\n" % (record.encode(), joined))
                    ends = np.cumsum([len(bases) + len(JOINT) for bases in sides[record]])
                    joints[record] = {"length": len(joined), "joints": ends[:-1].tolist()}
    with replacing(folder / JOINTS) as file:
        file.write(json.dumps(joints).encode())


def spanning(folder: Path, length: int) -> dict[str, int]:
    """Of windows of a length, side by side in what is held out and joined.

    Returns:
        ``windows`` there are, ``of_several`` contigs, and ``bases_left`` behind the last ones.
    """
    windows, of_several, left = 0, 0, 0
    for record, joined in json.loads((folder / JOINTS).read_text()).items():
        if record.endswith(".test"):
            count, rest = divmod(joined["length"], length)
            windows, left = windows + count, left + rest
            # A joint belongs to the contig before it: one that a window ends with divides nothing.
            inner = {j // length for j in joined["joints"] if j % length}
            of_several += sum(window < count for window in inner)
    return {"windows": windows, "of_several": of_several, "bases_left": left}
