"""A damaged archive of any kind of text: what it held is read, or its damage is said."""

import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio import bgzf

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.text import text_lines
from dnamamba.data.labelled.examples import Fields, read_examples
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.tables import read_rows
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.data.windows.bed import bed_rows
from dnamamba.data.windows.regions import Contigs

BASES = np.random.default_rng(0).choice(list("ACGT"), 20_000)
SEQUENCE = "".join(BASES)
OTHER = dict(zip("ACGT", "CGTA", strict=True))
SKIP = VariantChecks(malformed="skip", mismatch="skip")
TEXTS: dict[str, str] = {
    "g.fa": f">c\n{SEQUENCE}\n",
    "t.bed": "".join(f"c\t{i * 10}\t{i * 10 + 20}\tn{i % 7}\n" for i in range(1_900)),
    "t.vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    + "".join(f"c\t{i + 1}\t.\t{BASES[i]}\t{OTHER[BASES[i]]}\t.\t.\t.\n" for i in range(2_000)),
    "t.csv": "sequence,label\n"
    + "".join(f"{SEQUENCE[i * 9 : i * 9 + 20]},{i % 2}\n" for i in range(2_000)),
    "l.fa": "".join(f">s{i} class={i % 3}\n{SEQUENCE[i * 9 :][:20]}\n" for i in range(2_000)),
}
READ: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "FASTA": ("g.fa", lambda path: Genome(path, path.parent / "cache").fetch("c", 0, 20_000)),
    "BED": ("t.bed", lambda path: list(bed_rows(path, Contigs.of({"g": {"c": 20_000}})))),
    "VCF": ("t.vcf", lambda path: list(read_variants(path, genome(path)))),
    "VCF, skipping": ("t.vcf", lambda path: list(read_variants(path, genome(path), SKIP))),
    "table": ("t.csv", lambda path: [row.values for row in read_rows(path, ["sequence"])]),
    "examples": ("t.csv", lambda path: values(read_examples(str(path), Fields(), Labels()))),
    "labelled FASTA": (
        "l.fa",
        lambda path: values(
            read_examples(str(path), Fields(header="class=(?P<label>.)"), Labels(classes=[0, 1]))
        ),
    ),
}


def genome(path: Path) -> Genome:
    fasta = path.with_name("reference.fa")
    if not fasta.exists():
        fasta.write_text(TEXTS["g.fa"])
    return Genome(fasta, path.parent / "cache")


def values(read: Any) -> list[Any]:
    return [example[2:] for example in read[0]]


def bgzip(text: bytes) -> bytes:
    packed = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=packed)
    writer.write(text)
    writer.flush()
    return packed.getvalue() + bgzf._bgzf_eof


@pytest.mark.parametrize("pack", [gzip.compress, bgzip], ids=["gzip", "bgzip"])
@pytest.mark.parametrize("kind", READ)
def test_a_damaged_archive(kind: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    name, read = READ[kind]
    plain = tmp_path / name
    plain.write_text(TEXTS[name])
    expected = read(plain)
    whole = pack(TEXTS[name].encode())
    places = np.random.default_rng(1).integers(20, len(whole) - 30, 10)
    flipped = [whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in places.tolist()]
    cut = [whole[:at] for at in (5, len(whole) // 2, len(whole) - 4, len(whole) - 28)]
    for number, content in enumerate([*flipped, *cut]):
        path = tmp_path / f"{number}-{name}.gz"
        path.write_bytes(content)
        said = outcome(read, path)
        assert said == expected or re.search(rf"{path.name}.* truncated", str(said))


def outcome(read: Callable[[Path], Any], path: Path) -> Any:
    """What is read, or the text of the error."""
    try:
        return read(path)
    except ValueError as error:
        return str(error)


EMPTY: dict[str, bytes] = {
    "empty": b"",
    "empty gzip": gzip.compress(b""),
    "empty bgzip": bgzf._bgzf_eof,
    "the magic alone": b"\x1f\x8b",
    "blank": b"\n",
    "a mark alone": b"\xef\xbb\xbf",
    "NUL bytes": bytes(100),
}
NOTHING = "is empty|holds no text|damaged|white space alone|NUL bytes|no record|no header"


@pytest.mark.parametrize("content", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("kind", READ)
def test_an_empty_file(kind: str, content: bytes, tmp_path: Path) -> None:
    name, read = READ[kind]
    path = tmp_path / name
    path.write_bytes(content)
    if kind == "BED" and content in (b"\n", b"\xef\xbb\xbf"):
        assert read(path) == []  # its readers say that no region is left
        return
    with pytest.raises(ValueError, match=NOTHING) as caught:
        read(path)
    assert name in str(caught.value)


def test_a_sound_archive_with_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "t.bed.gz"
    path.write_bytes(gzip.compress(b"c\t5\t3\n"))
    with pytest.raises(ValueError, match=r"t\.bed\.gz, line 1: start 5 is not below end 3"):
        list(bed_rows(path, Contigs.of({"g": {"c": 9}})))
    assert list(text_lines(path)) == ["c\t5\t3\n"]
