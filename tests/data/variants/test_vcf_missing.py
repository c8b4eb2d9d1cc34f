"""What a VCF does not say: missing alleles, fields without a value or with two, columns moved."""

import gzip
import os
from pathlib import Path

import pytest

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.text import text_lines
from dnamamba.data.variants import read_variants

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
TEXT = '##INFO=<ID=CLS,Number=1,Type=String,Description="x">\n'
FLAG = '##INFO=<ID=CLS,Number=0,Type=Flag,Description="x">\n'


def _read(folder: Path, info: str = ".", alt: str = "C", header: str = "", **new: str) -> list[str]:
    (folder / "g.fa").write_text(">1\nANACGT\n")
    columns = new.get("columns", COLUMNS)
    record = f"1\t{new.get('pos', '1')}\t.\t{new.get('ref', 'A')}\t{alt}\t.\t.\t{info}\n"
    (folder / "v.vcf").write_text(f"##fileformat=VCFv4.2\n{header}{columns}{record}")
    variants = read_variants(folder / "v.vcf", Genome(folder / "g.fa"), info="CLS")
    return [f"{variant.alt} {variant.info}" for variant in variants]


@pytest.mark.parametrize("word", ["NA", "nan", "NaN"])
def test_an_alt_that_is_a_missing_value(word: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"v\.vcf, line 3: ALT .* missing value.*malformed=skip"):
        _read(tmp_path, alt=word)
    # An insertion behind an N of the reference is written so.
    assert _read(tmp_path, ref="N", pos="2", alt=word) == [f"{word.upper()} "]


def test_columns_in_another_order(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"v\.vcf, line 2: .*in this order; got CHROM, POS, ID, A"):
        _read(tmp_path, columns=COLUMNS.replace("REF\tALT", "ALT\tREF"))


@pytest.mark.parametrize(
    ("header", "info", "label"),
    [(TEXT, "CLS", ""), (TEXT, "CLS=a", "a"), (FLAG, "CLS", "1"), (FLAG, "CLS=0", "0"),
     ("", "CLS", "1")],
)  # fmt: skip
def test_a_field_without_a_value(header: str, info: str, label: str, tmp_path: Path) -> None:
    assert _read(tmp_path, info, header=header) == [f"C {label}"]


def test_a_field_that_stands_twice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 3: INFO CLS stands 2 times"):
        _read(tmp_path, "CLS=a;CLS=b")


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "v.vcf.gz"
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(ValueError, match="holds no text"):
        list(text_lines(path))
    path.write_bytes(gzip.compress(gzip.compress(b"x")))
    with pytest.raises(ValueError, match="compressed twice"):
        list(text_lines(path))
    path.write_bytes(b"\xef\xbb\xbf" * 2 + b"x\n")  # files that were joined
    assert list(text_lines(path)) == ["x\n"]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):  # it used to wait for ever
        list(text_lines(tmp_path / "pipe"))


def test_a_folder_where_the_cache_should_lie(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">1\nACGT\n")
    Genome(tmp_path / "g.fa", cache_dir=tmp_path / "c")
    (cache,) = (tmp_path / "c").glob("*.genome")
    cache.unlink()
    cache.mkdir()
    with pytest.raises(ValueError, match=r"cannot write the cache .*name another place"):
        Genome(tmp_path / "g.fa", cache_dir=tmp_path / "c")
