"""A plain FASTA parsed record by record, as its cache of bare bases is written.

What a parser reads is accepted: lines of any width, blank lines, LF and CR LF mixed, a byte-order
mark of UTF-8, comments before the first header. What could stand for a base and is none is not.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from dnamamba.data.genome.census import Census
from dnamamba.data.genome.index import Record, repeated_name
from dnamamba.data.genome.source import BLOCK, BYTE_ORDER_MARK, old_mac
from dnamamba.data.genome.text import LONGEST_LINE

__all__ = ["parse"]

_PREAMBLE = re.compile(rb"(?:;[^\n]*\n|[^\S\n]*\n)*")
_STRAY = re.compile(rb"\r(?!\n|\Z)")


def parse(
    plain: Path,
    shown: Path,
    seen: Callable[[bytes], object],
    write: Callable[[bytes], object],
) -> tuple[list[Record], Census]:
    """Read the whole file once.

    Args:
        plain: the FASTA text.
        shown: the path the user gave, for errors.
        seen: called with every byte of the file, in order.
        write: called with the bare bases, in order.

    Returns:
        Every record in file order, those without bases included, without a width of lines; and
        what letters occur.

    Raises:
        ValueError: a byte that is no nucleotide, a header without a name or not in UTF-8, a name
            that occurs twice, a CR that ends no line; names record and position or line.
    """
    parser = _Parser(shown, write)
    for is_header, text in _pieces(plain, shown, seen):
        if is_header:
            parser.header(text)
        else:
            parser.bases(text)
    return parser.records(), parser.census


def _pieces(
    plain: Path, shown: Path, seen: Callable[[bytes], object]
) -> Iterator[tuple[bool, bytes]]:
    """All text in order: headers whole, each with its line end, what lies between in blocks."""
    header, at_line_start = b"", True
    for block in _blocks(plain, seen):
        place = 0
        while place < len(block):
            if header or (at_line_start and block.startswith(b">", place)):
                end = block.find(b"\n", place) + 1 or len(block)
                header += block[place:end]
                if header.endswith(b"\n"):
                    yield True, header
                    header, at_line_start = b"", True
                elif len(header) > LONGEST_LINE:
                    if b"\r" in header:
                        raise ValueError(old_mac(shown))
                    raise ValueError(
                        f"{shown}: header {header[:40].decode('latin-1')!r} is longer than "
                        f"{LONGEST_LINE >> 20} MiB; is its line end missing?"
                    )
            else:
                end = block.find(b"\n>", place) + 1 or len(block)
                yield False, block[place:end]
                at_line_start = block.endswith(b"\n", place, end)
            place = end
    if header:
        yield True, header


def _blocks(plain: Path, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    with open(plain, "rb") as file:
        head = file.read(len(BYTE_ORDER_MARK))
        seen(head)
        yield b"" if head == BYTE_ORDER_MARK else head
        while block := file.read(BLOCK):
            seen(block)
            yield block


class _Parser:
    def __init__(self, shown: Path, write: Callable[[bytes], object]) -> None:
        self.census = Census()
        self._shown, self._write = shown, write
        self._names: dict[str, list[int]] = {}
        self._ends: list[tuple[str, int, int]] = []  # name, bases before it, its text's offset
        self._preamble = b""
        self._line, self._first_line = 0, 0  # lines that have ended; before the record's bases
        self._place = 0  # bytes passed, without a byte-order mark
        self._open_cr = False  # the text so far ends in CR, and may go on with LF

    def header(self, text: bytes) -> None:
        """The next record begins."""
        if not self._ends:
            self._check_preamble()
        if b"\r" in text.rstrip(b"\r\n"):
            raise ValueError(old_mac(self._shown))
        self._line += 1
        self._place += len(text)
        name = self._name(text)
        self._names.setdefault(name, []).append(self._place)
        self._ends.append((name, self.census.total, self._place))
        self._first_line, self._open_cr = self._line, False

    def bases(self, text: bytes) -> None:
        """More of the record's lines, cut anywhere."""
        if not self._ends:
            self._preamble += text
            if len(self._preamble) > LONGEST_LINE:
                self._check_preamble()
            return
        name, before, _ = self._ends[-1]
        self._check_line_ends(text, name)
        bases = text.translate(None, b"\r\n")
        if bases:
            self.census.add(bases, name, self.census.total - before, self._shown)
            self._write(bases)
        self._line += text.count(b"\n")
        self._place += len(text)

    def records(self) -> list[Record]:
        """All of them, when the text has ended."""
        if not self._ends:
            self._check_preamble()
            raise ValueError(f"{self._shown} has no header line that begins with '>'")
        for name, offsets in self._names.items():
            if len(offsets) > 1:
                raise ValueError(repeated_name(self._shown, name, offsets))
        ends = [before for _, before, _ in self._ends[1:]] + [self.census.total]
        return [
            Record(name, end - before, offset, 0, 0)
            for (name, before, offset), end in zip(self._ends, ends, strict=True)
        ]

    def _check_preamble(self) -> None:
        read = _PREAMBLE.match(self._preamble)
        rest = self._preamble[read.end() if read else 0 :]
        if rest.strip():
            line = self._preamble.count(b"\n") - rest.count(b"\n") + 1
            raise ValueError(
                f"{self._shown}, line {line:,}: {rest.strip()[:20].decode('latin-1')!r} stands "
                "before the first header; expected a line that begins with '>'"
            )
        self._line, self._place = self._preamble.count(b"\n"), len(self._preamble)

    def _check_line_ends(self, text: bytes, name: str) -> None:
        """A CR is half of a line end; alone, nobody knows what it is."""
        at_seam = self._open_cr and not text.startswith(b"\n")
        self._open_cr = text.endswith(b"\r")
        stray = _STRAY.search(text) if b"\r" in text else None
        if at_seam or stray:
            passed = text.count(b"\n", 0, stray.start()) if stray and not at_seam else 0
            raise ValueError(
                f"{self._shown}: record {name!r}, near its line "
                f"{self._line - self._first_line + passed + 1:,}: a CR that ends no line; convert "
                "the file (tr '\\r' '\\n')"
            )

    def _name(self, text: bytes) -> str:
        try:
            words = text[1:].decode().split(maxsplit=1)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self._shown}: header on line {self._line} is not UTF-8 (byte "
                f"0x{error.object[error.start]:02x}); convert it (iconv -f latin1 -t utf8)"
            ) from error
        if not words:
            raise ValueError(
                f"{self._shown}: header without a name on line {self._line}; name the record"
            )
        return words[0]
