"""The records of a VCF, streamed through vcfpy, with the line that an error names.

vcfpy sees what is needed and no more: of the header the definition of the one INFO field asked
for, of a record no FILTER, no other INFO and no genotypes. What else a file holds cannot stop it.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from dnamamba import arguments
from dnamamba.data.genome.source import old_mac
from dnamamba.data.genome.text import text_lines
from dnamamba.extras import library

__all__ = ["Malformed", "Record", "read_records"]

_NAMES = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_FILTER, _INFO = 6, 7
# A record of bases alone, as most are. What vcfpy would make of it is what it says.
_PLAIN = re.compile(
    r"([!-\"$-~][!-~]*)\t([0-9]{1,15})\t([!-:<-~]+)\t([ACGTNacgtn]+)\t"
    r"([ACGTNacgtn]+(?:,[ACGTNacgtn]+)*)\t(?:\.|[0-9]{1,15}(?:\.[0-9]{1,15})?)\t[^\t]+\t[^\t\r\n]"
)


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


class Malformed(NamedTuple):
    """A line that breaks the format: ``message`` says how, without the place."""

    where: str
    line: int
    message: str


def read_records(vcf: str | Path, info: str | None = None) -> Iterator[Record | Malformed]:
    """Stream the records of a plain, bgzip or gzip VCF. Blank lines are skipped.

    Args:
        vcf: the file.
        info: the INFO field to read.

    Raises:
        ValueError: the file is damaged or no VCF, or the definition of ``info`` cannot be read;
            names file and line.
        ModuleNotFoundError: vcfpy is not installed; names the extra.
    """
    path = arguments.path("the VCF", vcf)
    vcfpy = library("vcfpy", "variants", f"reading {path}")
    with closing(text_lines(path, undecodable="surrogateescape")) as text:
        lines = enumerate(text, 1)
        reader = _header(path, lines, vcfpy, info)
        for number, line in lines:
            plain = None if info else _PLAIN.match(line)
            if plain:
                yield _plain(plain, f"{path}, line {number}", number)
            elif line.strip():  # vcfpy would take a blank line for the end of the file
                yield _record(reader, f"{path}, line {number}", number, line, info)


def _header(
    path: Path, lines: Iterator[tuple[int, str]], vcfpy: ModuleType, info: str | None
) -> Any:
    """Read up to the first record; a reader that knows what the header says of ``info``."""
    wanted = re.compile(rf"##INFO=<(?:[^\",]*,)*ID={re.escape(info or '')}[,>\r\n]")
    version, definition, defined = False, "", 0
    for number, line in lines:
        if line.startswith("#CHROM"):
            _check_order(f"{path}, line {number}", line[1:].split())
            break
        if "\r#" in line:
            raise ValueError(old_mac(path))
        if line.startswith("##fileformat"):
            version = True
        elif info and not definition and wanted.match(line):
            definition, defined = line.rstrip("\r\n") + "\n", number
        elif line.strip() and not line.startswith("#"):
            raise ValueError(
                f"{path}, line {number}: expected the header of a VCF, lines that begin with '##' "
                f"and then '#CHROM'; got {line[:40]!r}"
            )
    else:
        raise ValueError(
            f"{path}: damaged VCF header: Missing line that begins with '#CHROM'; is the file cut "
            "off?"
        )
    if not version:
        raise ValueError(
            f"{path}: damaged VCF header: none of its header lines is '##fileformat'; put one "
            "first (sed '1i ##fileformat=VCFv4.2')"
        )
    text = "##fileformat=VCFv4.2\n" + definition + "#" + "\t".join(_NAMES) + "\n"
    try:
        with _unwarned():
            return vcfpy.Reader.from_stream(io.StringIO(text), path)
    except Exception as error:  # whatever a parser meets in a damaged line
        raise ValueError(
            f"{path}, line {defined}: the header's definition of INFO {info} cannot be read "
            f"({_message_of(error)}); mend or remove it (sed '{defined}d')"
        ) from error


def _check_order(where: str, names: list[str]) -> None:
    """Columns are read by their place: names in another order would be read wrongly."""
    for name, wanted in zip(names, _NAMES, strict=False):
        if name != wanted and name in _NAMES:
            raise ValueError(
                f"{where}: the columns of a VCF are {', '.join(_NAMES)} in this order; got "
                f"{', '.join(names[: len(_NAMES)])[:80]}"
            )


def _plain(parts: re.Match[str], where: str, number: int) -> Record:
    contig, position, name, ref, alts = parts.groups()
    alleles = tuple(alts.upper().split(","))
    known = "" if name == "." else name
    start = int(position) - 1
    return Record(where, number, contig, start, known, ref.upper(), alleles, ("",) * len(alleles))


def _record(
    reader: Any, where: str, number: int, line: str, info: str | None
) -> Record | Malformed:
    columns = line.rstrip("\r\n").split("\t", len(_NAMES))[: len(_NAMES)]
    problem = _problem(line, columns)
    if problem:
        return Malformed(where, number, problem)
    entries = [e for e in columns[_INFO].split(";") if info and e.split("=", 1)[0] == info]
    if len(entries) > 1:
        return Malformed(where, number, f"INFO {info} stands {len(entries)} times")
    columns[_FILTER], columns[_INFO] = ".", entries[0] if entries else "."
    try:
        if not "".join(columns).isascii():
            "".join(columns).encode()
        with _unwarned():
            record = reader.parser.parse_line("\t".join(columns))
            per_allele = _per_allele(reader, record, info, columns[_INFO])
            alts = tuple(alt.serialize() for alt in record.ALT)
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        why = f"byte 0x{byte:02x} is not UTF-8; convert the file (iconv -f latin1 -t utf8)"
        return Malformed(where, number, why)
    except Exception as error:  # whatever a parser meets in a damaged line
        return Malformed(
            where, number, f"{_message_of(error)} (POS {columns[1]}, ALT {columns[4][:40]})"
        )
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


def _problem(line: str, columns: list[str]) -> str | None:
    """What in the line's shape is against the format."""
    if line.startswith("#"):
        return "a header line behind the records; join VCFs with bcftools concat"
    if len(columns) < len(_NAMES):
        return (
            f"{len(columns)} columns where a VCF has at least {len(_NAMES)} "
            f"({', '.join(_NAMES)}), separated by tabs; is the file cut off or made of spaces?"
        )
    for name, cell in zip(_NAMES, columns, strict=True):
        if not cell or (name == "ALT" and "" in cell.split(",")):
            return f"{name} is empty; a missing value is written '.'"
    if not re.fullmatch(r"-?[0-9]+", columns[1]):
        return f"POS must be a whole number, counted from 1; got {columns[1][:40]!r}"
    return None


def _is_flag(header: Any, info: str | None) -> bool:
    return bool(header.get_info_field_info(info).type == "Flag")


def _message_of(error: Exception) -> str:
    return str(error) or type(error).__name__


@contextmanager
def _unwarned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _per_allele(reader: Any, record: Any, info: str | None, entry: str) -> tuple[str, ...]:
    """The INFO field's text for each ALT.

    A flag that is given a value has this value; a field of values that is given none lacks it.
    """
    value = record.INFO.get(info) if info else None
    n = max(1, len(record.ALT))
    if value is None:
        return ("",) * n
    if value is True:
        _, equals, text = entry.partition("=")
        header = reader.header
        bare = "1" if not header.has_header_line("INFO", info) or _is_flag(header, info) else ""
        return (text if equals else bare,) * n
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
