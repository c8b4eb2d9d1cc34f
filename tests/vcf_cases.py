"""A small VCF and its genome, good records, and every bad one with what is said of it."""

import gzip
import io
from pathlib import Path

from Bio import bgzf

# 1-based:       1234567890123456789012345678901234567890
CHR1 = "ACGTACGTACGGGGTTTTACGTRacgtnNACGTACGTACG"
HEADER = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=SIG,Number=.,Type=String,Description="s">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="a">\n'
    '##INFO=<ID=AD,Number=R,Type=Integer,Description="d">\n'
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="f">\n'
    '##INFO=<ID=ONE,Number=1,Type=String,Description="1">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
GOOD = "chr1\t1\t.\tA\tC\t.\t.\t.\n"


def row(
    pos: object, ref: str, alt: str, info: str = ".", contig: str = "chr1", id: str = "."
) -> str:
    return f"{contig}\t{pos}\t{id}\t{ref}\t{alt}\t.\t.\t{info}\n"


def bgzip(text: bytes) -> bytes:
    packed = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=packed)
    writer.write(text)
    writer.flush()
    return packed.getvalue() + bgzf._bgzf_eof


def write(folder: Path, content: str | bytes, name: str = "v.vcf") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


BAD: list[tuple[str, str | bytes, str]] = [
    # name, records (str) or the whole file (bytes), expected error
    ("REF mismatch", row(1, "G", "C"),
     r"line 9: chr1:1: REF is G, but .*ref\.fa has A; is this the genome .*mismatch=skip"),
    ("N in REF only", row(1, "N", "C"), "line 9: chr1:1: REF is N, but .* has A"),
    ("position 0", row(0, "A", "C"), r"line 9: POS 0 .*lies outside chr1, which has 40 bases"),
    ("negative position", row(-3, "A", "C"), r"line 9: POS -3 .*lies outside chr1"),
    ("past the end", row(41, "A", "C"), r"line 9: POS 41 .*lies outside chr1, which has 40 bases"),
    ("REF across the end", row(40, "GA", "G"), r"line 9: POS 40 \(REF of 2\) lies outside chr1"),
    ("contig misspelt", row(1, "A", "C", contig="ch1"),
     r"line 9: .*ref\.fa has no contig 'ch1'; did you mean 'chr1'.*checks\.contig_names \(add_chr"),
    ("contig absent", row(1, "A", "C", contig="plasmid"),
     r"line 9: .* no contig 'plasmid'; .*chr1"),
    ("position no integer", row("1e3", "A", "C"), r"line 9: POS must be a whole .*1e3"),
    ("REF missing", row(1, ".", "C"), r"line 9: REF '\.' must be of the letters ACGTN"),
    ("REF of other letters", row(1, "A-", "A"), r"line 9: REF 'A-' must be of the letters"),
    ("ALT of other letters", row(1, "A", "-"), r"line 9: ALT '-' must be of .*bcftools norm"),
    ("ALT empty", row(1, "A", ""), r"line 9: ALT is empty; a missing value is written '\.'"),
    ("ALT ends in a comma", row(1, "A", "C,"), r"line 9: ALT is empty"),
    ("breakend without a mate", row(1, "A", "A[2["), r"v\.vcf, line 9: .*POS 1, ALT A\[2\["),
    ("too few columns", "chr1\t1\t.\tA\tC\n", "line 9: 5 columns where a VCF has at least 8"),
    ("spaces for tabs", "chr1 1 . A C . . .\n", r"line 9: 1 columns .*separated by tabs"),
    ("quality no number", "chr1\t1\t.\tA\tC\tq\t.\t.\n", "line 9: could not convert string"),
    ("second header", GOOD + HEADER, r"line 10: a header line behind the records"),
    ("two values for three alleles", row(1, "A", "C,G,T", "AF=0.1,0.2"),
     "line 9: INFO AF has 2 values where 3 are due"),
    ("empty", b"", r"v\.vcf is empty"),
    ("no header", GOOD.encode(), r"v\.vcf, line 1: expected the header of a VCF.* got 'chr1"),
    ("FASTA", b">chr1\nACGT\n", r"v\.vcf, line 1: expected the header of a VCF.* got '>chr1"),
    ("header without #CHROM", b"##fileformat=VCFv4.2\n", "damaged VCF header: Missing line"),
    ("no ##fileformat", ("#CHROM" + HEADER.split("#CHROM")[1]).encode(),
     "damaged VCF header: .*header lines"),
    ("bgzip cut in a block", bgzip((HEADER + GOOD * 20_000).encode())[:300],
     r"v\.vcf is truncated: the block that ends a bgzip file is missing"),
    ("bgzip cut between blocks", bgzip((HEADER + GOOD).encode())[:-28],
     r"v\.vcf is truncated: the block that ends a bgzip file is missing"),
    ("gzip cut off", gzip.compress((HEADER + GOOD * 20_000).encode())[:300],
     r"v\.vcf: truncated or damaged gzip data after line [\d,]+"),
    ("not UTF-8", (HEADER + row(1, "A", "C", id="café")).encode("latin-1"),
     "line 8: byte 0xe9 is not UTF-8"),
]  # fmt: skip
