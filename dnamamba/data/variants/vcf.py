"""The records of a VCF, streamed through vcfpy, with the line that an error names."""

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from dnamamba.data.genome.text import text_lines
from dnamamba.extras import library

__all__ = ["Record", "read_records"]

_NAMES = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")


class Record(NamedTuple):
    """One line of a VCF, its format checked, nothing else.

    Attributes:
        where: file and line, for errors.
        line: counted from 1.
        contig: as the VCF names it.
        start: 0-based; -1 for POS 0, the telomere.
        id: the ID column; empty where it has ``.``.
        ref: upper case.
        alts: upper case (symbolic ones as written); empty where ALT is ``.``.
        info: text of the INFO field asked for, one an ALT; empty without it.
    """

    where: str
    line: int
    contig: str
    start: int
    id: str
    ref: str
    alts: tuple[str, ...]
    info: tuple[str, ...]


def read_records(vcf: str | Path, info: str | None = None) -> Iterator[Record]:
    """Stream the records of a plain, bgzip or gzip VCF. Blank lines are skipped.

    Args:
        vcf: the file.
        info: the INFO field to read.

    Raises:
        ValueError: the file is damaged, no VCF, or a record breaks the format; names file,
            line and column.
        ModuleNotFoundError: vcfpy is not installed; names the extra.
    """
    path = Path(vcf)
    vcfpy = library("vcfpy", "variants", f"reading {path}")
    lines = enumerate(text_lines(path), 1)
    reader = _header(path, lines, vcfpy)
    for number, line in lines:
        if line.strip():  # vcfpy would take a blank line for the end of the file
            yield _record(reader, vcfpy, f"{path}, line {number}", number, line, info)


def _header(path: Path, lines: Iterator[tuple[int, str]], vcfpy: ModuleType) -> Any:
    text = []
    for number, line in lines:
        if line.startswith("#CHROM"):
            # Genotypes are not read, so vcfpy need not know of their columns.
            line = "\t".join(line.rstrip("\r\n").split("\t")[: len(_NAMES)]) + "\n"
        elif not line.startswith("##"):
            raise ValueError(
                f"{path}, line {number}: expected the header of a VCF, lines that begin with '##' "
                f"and then '#CHROM'; got {line[:40]!r}"
            )
        text.append(line)
        if line.startswith("#CHROM"):
            break
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", vcfpy.exceptions.VCFPyWarning)
            return vcfpy.Reader.from_stream(io.StringIO("".join(text)), path)
    except (vcfpy.exceptions.VCFPyException, ValueError, KeyError) as error:
        raise ValueError(f"{path}: damaged VCF header: {error}") from error


def _record(
    reader: Any, vcfpy: ModuleType, where: str, number: int, line: str, info: str | None
) -> Record:
    if line.startswith("#"):
        raise ValueError(
            f"{where}: a header line behind the records; join VCFs with bcftools concat"
        )
    columns = line.rstrip("\r\n").split("\t", len(_NAMES))[: len(_NAMES)]
    if len(columns) < len(_NAMES):
        raise ValueError(
            f"{where}: {len(columns)} columns where a VCF has at least {len(_NAMES)} "
            f"({', '.join(_NAMES)}), separated by tabs; is the file cut off or made of spaces?"
        )
    for name, cell in zip(_NAMES, columns, strict=True):
        if not cell or (name == "ALT" and "" in cell.split(",")):
            raise ValueError(f"{where}: {name} is empty; a missing value is written '.'")
    if not re.fullmatch(r"-?\d+", columns[1]):
        raise ValueError(f"{where}: POS must be a whole number, counted from 1; got {columns[1]!r}")
    entries = [e for e in columns[7].split(";") if info and e.split("=", 1)[0] == info]
    columns[7] = entries[0] if entries else "."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", vcfpy.exceptions.VCFPyWarning)
            record = reader.parser.parse_line("\t".join(columns))
            per_allele = _per_allele(reader, record, info)
    except (vcfpy.exceptions.VCFPyException, ValueError, AssertionError) as error:
        raise ValueError(f"{where}: {error} (POS {columns[1]}, ALT {columns[4][:40]})") from error
    alts = tuple(alt.serialize() for alt in record.ALT)
    return Record(
        where,
        number,
        record.CHROM,
        record.begin,
        ";".join(record.ID),
        record.REF.upper(),
        tuple(alt if "<" in alt or "[" in alt or "]" in alt else alt.upper() for alt in alts),
        per_allele,
    )


def _per_allele(reader: Any, record: Any, info: str | None) -> tuple[str, ...]:
    """The INFO field's text for each ALT."""
    value = record.INFO.get(info) if info else None
    n = max(1, len(record.ALT))
    if value is None:
        return ("",) * n
    if value is True:
        return ("1",) * n
    if not isinstance(value, list):
        return (str(value),) * n
    texts = ["" if item is None else str(item) for item in value]
    number = reader.header.get_info_field_info(info).number
    if number in ("A", "R"):
        expected = n + (number == "R")
        if len(texts) != expected:
            raise ValueError(f"INFO {info} has {len(texts)} values where {expected} are due")
        return tuple(texts[-n:])
    return (",".join(texts),) * n
