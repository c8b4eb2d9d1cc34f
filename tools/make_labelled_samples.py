"""Write the labelled samples of data/samples/labelled/ from Biopython's source distribution.

    pip download --no-deps --no-binary :all: biopython==1.88
    python tools/make_labelled_samples.py biopython-1.88.tar.gz

``coding.csv`` holds windows of 150 bp of the Arabidopsis chloroplast, side by side, with what its
GenBank record says of them: ``coding``, all of it within one exon of a coding sequence, on either
strand, or ``intergenic``, none of it within a gene. The repeat's second copy is left out.

``chloroplast_stops.vcf`` is synthetic: nobody observed these variants. Each is a substitution drawn
at random in a coding sequence of the chloroplast, and labelled by the genetic code: ``stop`` if it
makes a stop codon, ``synonymous`` if it changes no amino acid.

Running the script again gives the same bytes.
"""

import argparse
import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path

from Bio.SeqRecord import SeqRecord
from make_samples import SAMPLES, SOURCES, open_archive, read_record

WINDOW = 150
BLOCK = 2000  # bp; windows of one block share a group
PER_CLASS = 300  # variants
BASES = "ACGT"
# The repeat's second copy, as data/samples/heldout/exclude.bed has it.
REPEAT = range(128_214, 154_478)


def spans(record: SeqRecord, kind: str) -> Iterator[tuple[int, int]]:
    """Start and end of the parts of each feature of a kind, 0-based, half-open."""
    for feature in record.features:
        if feature.type == kind:
            for part in feature.location.parts:
                yield int(part.start), int(part.end)


def windows(record: SeqRecord) -> Iterator[tuple[str, str, str, str]]:
    """Id, bases, label and group of each window, side by side, that is clearly one or the other."""
    genes = list(spans(record, "gene"))
    exons = list(spans(record, "CDS"))
    for start in range(0, len(record) - WINDOW + 1, WINDOW):
        end = start + WINDOW
        if start in REPEAT or end in REPEAT:
            continue
        if any(low <= start and end <= high for low, high in exons):
            label = "coding"
        elif all(end <= low or high <= start for low, high in genes + exons):
            label = "intergenic"
        else:
            continue
        name = f"{record.id}:{start}-{end}"
        yield name, str(record.seq[start:end]), label, f"{record.id}:{start // BLOCK}"


def variants(record: SeqRecord, draw: random.Random) -> list[tuple[int, str, str, str]]:
    """Position from 1, REF, ALT and label of substitutions in coding sequences."""
    found: dict[str, set[tuple[int, str, str, str]]] = {"stop": set(), "synonymous": set()}
    for feature in record.features:
        location = feature.location
        if feature.type != "CDS" or len(location.parts) > 1 or len(location) % 3:
            continue
        if int(location.start) in REPEAT or int(location.end) in REPEAT:
            continue
        coding = str(location.extract(record.seq))
        for at in range(len(coding)):
            first = at // 3 * 3
            codon = coding[first : first + 3]
            position = location.start + at if location.strand == 1 else location.end - 1 - at
            for base in set(BASES) - {coding[at]}:
                changed = codon[: at - first] + base + codon[at - first + 1 :]
                before, after = (str(type(record.seq)(c).translate(11)) for c in (codon, changed))
                if before == "*" or (after != before and after != "*"):
                    continue
                label = "stop" if after == "*" else "synonymous"
                ref = str(record.seq[position])
                alt = (
                    base if location.strand == 1 else base.translate(str.maketrans("ACGT", "TGCA"))
                )
                found[label].add((int(position) + 1, ref, alt, label))
    drawn = [draw.sample(sorted(found[label]), PER_CLASS) for label in ("stop", "synonymous")]
    return sorted(variant for part in drawn for variant in part)


def main() -> None:
    """Check the archive, then write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("archive", type=Path, help="path of Biopython's source distribution")
    folder = SAMPLES / "labelled"
    folder.mkdir(exist_ok=True)
    with open_archive(parser.parse_args().archive, parser) as archive:
        source = next(s for s in SOURCES if s.file == "arabidopsis_chloroplast.fa")
        chloroplast = read_record(archive, source)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "sequence", "label", "group"])
    writer.writerows(windows(chloroplast))
    (folder / "coding.csv").write_text(text.getvalue())

    lines = [
        "##fileformat=VCFv4.3",
        "##source=tools/make_labelled_samples.py: synthetic, drawn at random, never observed",
        f"##contig=<ID={chloroplast.id},length={len(chloroplast)}>",
        '##INFO=<ID=EFFECT,Number=1,Type=String,Description="stop or synonymous, by the code">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for position, ref, alt, label in variants(chloroplast, random.Random(0)):
        lines.append(f"{chloroplast.id}\t{position}\t.\t{ref}\t{alt}\t.\t.\tEFFECT={label}")
    (folder / "chloroplast_stops.vcf").write_text("\n".join(lines) + "\n")
    for path in sorted(folder.iterdir()):
        print(f"{path.name:24} {path.stat().st_size:>9,} bytes")


if __name__ == "__main__":
    main()
