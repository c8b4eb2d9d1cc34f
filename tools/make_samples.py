"""Write the bundled genomes of data/samples/ from Biopython's source distribution.

    pip download --no-deps --no-binary :all: biopython==1.88
    python tools/make_samples.py biopython-1.88.tar.gz

Each FASTA and the manifest beside it record the accession, the organism and the member of
the archive that the sequence came from. Running the script again gives the same bytes.
"""

import argparse
import hashlib
import io
import tarfile
from pathlib import Path
from typing import NamedTuple

from Bio import SeqIO
from Bio.SeqRecord import SeqRecord

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
ARCHIVE = "biopython-1.88.tar.gz"
ARCHIVE_SHA256 = "9aaa31c0bda4d059f7b2ee00bfdb5cbb73ade3057aa4b737a7cc0187091d071a"
LICENCE = (
    "INSDC/NCBI: free of restrictions on use; redistributed by Biopython under "
    "the Biopython License Agreement or BSD-3-Clause"
)


class Source(NamedTuple):
    """One sequence: the FASTA to write and where it stands in the archive."""

    file: str
    member: str
    format: str
    accession: str
    organism: str
    what: str


SOURCES = (
    Source(
        "arabidopsis_chloroplast.fa", "GenBank/NC_000932.gb", "genbank", "NC_000932.1",
        "Arabidopsis thaliana", "chloroplast, complete genome",
    ),
    Source(
        "arabidopsis_chr1.fa", "GenBank/arab1.gb", "genbank", "AC007323.5",
        "Arabidopsis thaliana", "chromosome 1, BAC T25K16",
    ),
    Source(
        "drosophila.fa", "GenBank/extra_keywords.gb", "genbank", "AL138972.1",
        "Drosophila melanogaster", "BAC clone BACR25B3",
    ),
    Source(
        "hiv1.fa", "GFF/NC_001802.fna", "fasta", "NC_001802.1",
        "Human immunodeficiency virus 1", "complete genome",
    ),
    Source(
        "phix174.fa", "GFF/NC_001422.gbk", "genbank", "NC_001422.1",
        "Escherichia phage phiX174", "complete genome",
    ),
    Source(
        "yersinia_plasmid.fa", "GenBank/NC_005816.gb", "genbank", "NC_005816.1",
        "Yersinia pestis biovar Microtus str. 91001", "plasmid pPCP1, complete sequence",
    ),
)  # fmt: skip


def read_record(archive: tarfile.TarFile, source: Source) -> SeqRecord:
    """The one record behind a source."""
    member = archive.extractfile(f"{ARCHIVE.removesuffix('.tar.gz')}/Tests/{source.member}")
    assert member is not None
    record: SeqRecord = SeqIO.read(io.TextIOWrapper(member), source.format)
    return record


def open_archive(path: Path, parser: argparse.ArgumentParser) -> tarfile.TarFile:
    """Biopython's source distribution, checked; an error of the parser if it is not."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != ARCHIVE_SHA256:
        parser.error(f"{path} has sha256 {digest}, expected {ARCHIVE_SHA256}: not {ARCHIVE}")
    return tarfile.open(path)


def fasta(source: Source, bases: str) -> bytes:
    """FASTA text with lines of 60 bases."""
    lines = [bases[at : at + 60] for at in range(0, len(bases), 60)]
    header = f">{source.accession} {source.organism} {source.what}"
    return ("\n".join([header, *lines]) + "\n").encode("ascii")


def main() -> None:
    """Check the archive, then write six FASTA files and manifest.toml."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("archive", type=Path, help=f"path of {ARCHIVE}")
    path = parser.parse_args().archive
    manifest = [f"# Written by tools/make_samples.py from {ARCHIVE} (PyPI).\n"]
    with open_archive(path, parser) as archive:
        for source in SOURCES:
            bases = str(read_record(archive, source).seq)
            data = fasta(source, bases)
            (SAMPLES / source.file).write_bytes(data)
            manifest.append(
                f'["{source.file}"]\n'
                f'accession = "{source.accession}"\n'
                f'organism = "{source.organism}"\n'
                f'sequence = "{source.what}"\n'
                f"length = {len(bases)}  # bp\n"
                f'sha256 = "{hashlib.sha256(data).hexdigest()}"  # of the FASTA file\n'
                f'origin = "{ARCHIVE}: Tests/{source.member}"\n'
                f'origin_sha256 = "{ARCHIVE_SHA256}"  # of the archive\n'
                f'licence = "{LICENCE}"\n'
            )
            print(f"{source.file:28} {source.accession:12} {len(bases):>8,} bp")
    (SAMPLES / "manifest.toml").write_text("\n".join(manifest))


if __name__ == "__main__":
    main()
